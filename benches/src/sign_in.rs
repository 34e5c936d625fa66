//! Who exists is nobody's business: how long a refused sign-in takes of a user who exists, and of one who does not
//! (REG-6).
//!
//! A thousand tries each, by turns and one at a time, by the built-in method over the device's socket. There are as many
//! devices and names as it takes to stay within what one of them may try.

use anyhow::{Context as _, ensure};
use switchhook_core::row::{User, UserState};
use switchhook_protocol::{client::ClientMessage, registration::RegisterBegin};
use switchhook_storage::{Storage, StorageError};

use crate::{
    Options,
    clock::{self, now},
    device::Head,
    installation::{Installation, Server},
    one_thread,
    report::{Bound, Report},
    series::{Latencies, Series},
    socket::Socket,
};

/// Devices, each of which tries four users who exist, and four who do not: what a device may try at once.
const DEVICES: u32 = 250;
const EACH: u32 = 4;

/// Names of each kind: fifty tries of one are fewer than all devices together may make at once.
const USERS: u32 = 20;

/// The hash of a password that nobody types, at the cost of the host's own.
const HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c3dpdGNoaG9vay5ub2JvZA$CzBVep/E6Q4zWH2ix+wRNluApcrvFDleg6jN8hc8YYY";

#[derive(Default)]
struct Found {
    known: Series,
    unknown: Series,
    /// The longer median over the shorter one.
    apart: Series,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    let mut found = Found::default();
    one_thread()?.block_on(async {
        let installation = Installation::prepare(options.server()?, options.on_disk()?, DEVICES).await?;
        for _ in 0..options.rounds {
            let mut server = installation.start(options.on_disk()?, "")?;
            server.restart(&installation, async |storage| users(storage, &installation).await).await?;
            found.round(&installation, &server).await?;
        }
        anyhow::Ok(())
    })?;
    let mut report = Report::new("refused sign-ins, a thousand of each kind");
    report.figure("of a user who exists, median", "ms", &found.known);
    report.figure("of a user who does not, median", "ms", &found.unknown);
    report.target("the longer over the shorter", &found.apart, Bound::AtMost(1.1));
    Ok(report)
}

/// Puts users into the directory.
async fn users(storage: &Storage, installation: &Installation) -> anyhow::Result<()> {
    let mut users = Vec::new();
    for number in 0..USERS {
        users.push(User {
            id: name("known", number).parse()?,
            password: HASH.to_owned(),
            addresses: vec![],
            state: UserState::Active,
            changed_at: clock::timestamp(),
        });
    }
    let storage = storage.of(&installation.tenant);
    let added = storage.run("users", async move |tx| {
        for user in &users {
            tx.add_user(user).await?;
        }
        Ok::<_, StorageError>(())
    });
    Ok(added.await?)
}

fn name(kind: &str, number: u32) -> String {
    format!("{kind}-{number:02}")
}

impl Found {
    async fn round(&mut self, installation: &Installation, server: &Server) -> anyhow::Result<()> {
        let (mut known, mut unknown) = (Latencies::default(), Latencies::default());
        for device in &installation.devices {
            let mut socket = device.connect(&server.door, installation.who()).await?;
            for turn in 0..EACH {
                let number = (device.number * EACH + turn) % USERS;
                for (kind, latencies) in [("known", &mut known), ("unknown", &mut unknown)] {
                    let (user, started) = (name(kind, number), now());
                    refused(&mut socket, &user).await?;
                    latencies.push(started.elapsed());
                }
            }
        }
        let (known, unknown) = (known.quantiles().0 / 1e3, unknown.quantiles().0 / 1e3);
        self.known.push(known);
        self.unknown.push(unknown);
        self.apart.push(known.max(unknown) / known.min(unknown));
        Ok(())
    }
}

/// Tries a wrong password; the answer is the same for everybody.
async fn refused(socket: &mut Socket, user: &str) -> anyhow::Result<()> {
    let fields = [("user", user), ("password", "a wrong password")];
    let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let begin = RegisterBegin { method: "register-email".parse()?, fields };
    socket.say(ClientMessage::request(&"1".parse()?, &begin)?).await?;
    let text = socket.hear().await?;
    let error = Head::of(&text)?.error.context("a wrong password is right")?.get();
    ensure!(error.contains("registration-refused"), "{error}");
    Ok(())
}
