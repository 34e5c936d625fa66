//! Opaque messages from device to device, both online (`signal`), beside a bare hub of axum.
//!
//! Pairs send each other the same message to and fro, so many of them on their way at once, as fast as
//! they come back. Each that arrives counts. The generator uses both cores, as both servers do; the hub
//! passes on the same bytes that Switchhook gets, and looks at none of them.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use serde::Deserialize;
use switchhook_protocol::{
    client::{ClientMessage, Said, Signal},
    invitation::InviteStatus,
    server::{Answer, ServerMessage},
};
use tokio::{sync::Barrier, task::JoinSet};

use crate::{
    Options,
    clock::{micros, now},
    installation::Installation,
    load,
    process::Running,
    report::{Bound, Report},
    series::Series,
    socket::{Door, Socket},
};

/// Pairs of devices.
const PAIRS: u32 = 100;

/// Messages of a pair that are on their way; fewer than a queue of live messages holds.
const WINDOW: usize = 8;

/// Messages of a pair before anything is measured.
const WARM: u32 = 200;

/// Each measurement.
const MEASURED: Duration = Duration::from_secs(4);

/// What a candidate for a path looks like.
const DATA: &str =
    "candidate:842163049 1 udp 1677729535 203.0.113.7 46154 typ srflx raddr 192.0.2.4 rport 46154";

/// One server, over all rounds.
#[derive(Default)]
struct Way {
    rate: Series,
    /// Processor time of the server for each message, in µs.
    processor: Series,
}

/// Two devices, and the frame that each says to the other.
struct Pair {
    sockets: [Socket; 2],
    frames: [String; 2],
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    let [mut ours, mut hub] = <[Way; 2]>::default();
    tokio::runtime::Runtime::new()?.block_on(async {
        let installation = Installation::prepare(options.server()?, options.on_disk()?, 2 * PAIRS).await?;
        for _ in 0..options.rounds {
            let server = installation.start(options.on_disk()?, "")?;
            let pairs = Pair::all_in_a_session(&installation, &server.door).await?;
            let frames = pairs.first().context("there are pairs")?.frames.clone();
            ours.round(pairs, &server.process).await?;
            drop(server);
            let (process, door) = Running::bare_sockets("hub", None)?;
            hub.round(Pair::all_at_a_hub(&door, &frames).await?, &process).await?;
        }
        anyhow::Ok(())
    })?;
    let mut report = Report::new("opaque message from device to device, both online");
    for (what, way) in [("switchhook", &ours), ("bare axum hub, the same bytes", &hub)] {
        report.figure(format!("{what}, {PAIRS} pairs, {WINDOW} on their way"), "1/s", &way.rate);
        report.figure("  server's processor time for a message", "µs", &way.processor);
    }
    report.target("rate over the hub's", &ours.rate.over(&hub.rate), Bound::AtLeast(0.7));
    Ok(report)
}

impl Way {
    async fn round(&mut self, pairs: Vec<Pair>, server: &Running) -> anyhow::Result<()> {
        let warm = Arc::new(Barrier::new(pairs.len() + 1));
        let mut exchanging = JoinSet::new();
        for pair in pairs {
            exchanging.spawn(pair.exchange(Arc::clone(&warm)));
        }
        tokio::select! {
            _ = warm.wait() => {}
            Some(ended) = exchanging.join_next() => anyhow::bail!("a pair ended before it was warm: {ended:?}"),
        }
        let processor = server.processor_time()?;
        let mut arrived = 0.0;
        while let Some(count) = exchanging.join_next().await {
            arrived += f64::from(count??);
        }
        let processor = server.processor_time()?.saturating_sub(processor);
        self.rate.push(arrived / MEASURED.as_secs_f64());
        self.processor.push(micros(processor) / arrived);
        Ok(())
    }
}

impl Pair {
    /// Pairs of which one has invited the other: so they may send each other messages.
    async fn all_in_a_session(installation: &Installation, door: &Door) -> anyhow::Result<Vec<Self>> {
        let mut pairs = Vec::new();
        for pair in installation.devices.as_chunks::<2>().0 {
            let [from, to] = pair;
            let mut inviter = from.connect(door, installation.who()).await?;
            let mut invited = to.connect(door, installation.who()).await?;
            inviter.say(load::invite(installation, from, to)?).await?;
            let frames = [asked(&inviter.hear().await?)?, rung(&invited.hear().await?)?];
            pairs.push(Self { sockets: [inviter, invited], frames });
        }
        Ok(pairs)
    }

    async fn all_at_a_hub(door: &Door, frames: &[String; 2]) -> anyhow::Result<Vec<Self>> {
        let mut pairs = Vec::new();
        for first in (0..2 * PAIRS).step_by(2) {
            let second = first + 1;
            let sockets = [
                Socket::connect(door, first, &format!("/{first}/{second}")).await?,
                Socket::connect(door, second, &format!("/{second}/{first}")).await?,
            ];
            pairs.push(Self { sockets, frames: frames.clone() });
        }
        Ok(pairs)
    }

    /// Sends to and fro; how many arrived in the time that is measured, once all pairs are warm.
    async fn exchange(mut self, warm: Arc<Barrier>) -> anyhow::Result<u32> {
        for _ in 0..WINDOW {
            self.sockets[0].say(self.frames[0].as_str()).await?;
        }
        for _ in 0..WARM {
            self.pass().await?;
        }
        warm.wait().await;
        let (until, mut arrived) = (now() + MEASURED, 0);
        while now() < until {
            self.pass().await?;
            arrived += 1;
        }
        Ok(arrived)
    }

    /// Waits for the next message, and answers it.
    async fn pass(&mut self) -> anyhow::Result<()> {
        let Self { sockets: [here, there], frames: [to_there, to_here] } = self;
        let (answering, frame) = tokio::select! {
            heard = there.hear() => { heard?; (there, to_here) }
            heard = here.hear() => { heard?; (here, to_there) }
        };
        answering.say(frame.as_str()).await
    }
}

/// The inviter's frame to whom it rings.
fn asked(answer: &str) -> anyhow::Result<String> {
    let Some(ServerMessage::Answer(Answer { ok: Some(ok), .. })) = ServerMessage::decode(answer)? else {
        anyhow::bail!("{answer}")
    };
    let InviteStatus { ticket, devices, .. } = serde_json::from_str(ok.get())?;
    frame(ticket, devices.into_iter().next().context("somebody is rung")?.alias)
}

/// The frame of whom it rings, to the inviter.
fn rung(event: &str) -> anyhow::Result<String> {
    #[derive(Deserialize)]
    struct Rings {
        body: switchhook_protocol::event::Rung,
    }
    let Rings { body } = serde_json::from_str(event)?;
    frame(body.ticket, body.inviter.alias)
}

fn frame(ticket: String, to: String) -> anyhow::Result<String> {
    Ok(ClientMessage::say(&Said::Signal(&Signal { ticket, to, data: DATA.into() }))?)
}
