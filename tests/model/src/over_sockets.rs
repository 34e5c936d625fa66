//! A process of `switchhook serve`, and devices that reach it by the client library.
//!
//! Its clock stands still until it is set, so that whatever is due has its one time. What timers bring comes a moment
//! after that: who compares waits for it ([`System::waits`]). An answer to `sync` comes after everything that the device
//! had to hear by then, so that nothing is missed that is there.
//!
//! A device that vanishes loses its connection and comes back by itself; the node is killed and starts again, and
//! all come back.

mod device;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use switchhook_client::CallError;
use switchhook_protocol::{error::ErrorCode, id::TenantId};
use switchhook_server::{ADMIN_TOKEN, DEFAULT_TENANT, SandboxFile};
use switchhook_tests::{
    admin::Admin,
    host::Transit,
    port::Port,
    process::Process,
    service::Service,
    waiting::{in_time, now, until},
};
use tempfile::TempDir;
use tokio::time;

use self::device::Person;
use crate::{
    Heard,
    people::{DEVICES, Device, INVITER},
    reference::{Stored, Time},
    router::{self, Router},
    step::Does,
    system::{
        DAY, System,
        known::{self, Known},
        words,
    },
};

/// Between two looks at what is under way.
const MOMENT: Duration = Duration::from_millis(50);

/// Looks until what is expected does not come: 10 seconds and more.
const LOOKS: u32 = 200;

/// A process takes its time to start: it dies of one death in so many.
const DEATHS: u32 = 11;

/// Routers ring by a service of the tenant.
const ROUTER: &str = "invite-router/model";

/// The real thing.
pub(crate) struct OverSockets {
    program: String,
    folder: TempDir,
    port: Port,
    process: Process,
    admin: Admin,
    clock: AtomicU64,
    people: BTreeMap<Device, Person>,
    sessions: Vec<Known>,
    _service: Service,
}

impl OverSockets {
    pub(crate) async fn start(program: &str) -> Result<Self> {
        let (folder, port) = (tempfile::tempdir()?, Port::any()?);
        let clock = AtomicU64::new(now().as_millis());
        set(folder.path(), &clock)?;
        fs::write(settings(folder.path()), "[plugins]\nallow_loopback = true\n")?;
        let process = serve(program, folder.path(), &port).await?;
        let token = fs::read_to_string(data(folder.path()).join(ADMIN_TOKEN))?;
        let admin = Admin::new(process.http, token.trim());
        let tenant: TenantId = DEFAULT_TENANT.parse()?;
        let secret = SandboxFile::read(&data(folder.path()))?.secret;
        let transit = Transit::start(process.http, &tenant, secret).await?;
        admin.put_gateway(&transit.send_url, &transit.secret).await?;
        let service = routers().await?;
        service.install_by(&admin, ROUTER).await?;
        let mut people = BTreeMap::new();
        for device in DEVICES {
            people.insert(device, Person::register(device, process.http, &transit).await?);
        }
        let (program, sessions) = (program.to_owned(), vec![]);
        Ok(Self { program, folder, port, process, admin, clock, people, sessions, _service: service })
    }

    fn person(&self, device: Device) -> &Person {
        &self.people[&device]
    }

    /// The device with this id.
    fn name(&self, id: &str) -> Result<String> {
        let known = self.people.iter().find(|(_, person)| person.id.as_str() == id);
        Ok(known.context("a device that nobody has")?.0.id.to_owned())
    }

    /// Everybody has a connection.
    async fn all_here(&self) -> Result<()> {
        for person in self.people.values() {
            person.caught_up().await?;
        }
        Ok(())
    }
}

impl System for OverSockets {
    fn now(&self) -> Time {
        self.clock.load(Ordering::SeqCst)
    }

    async fn set_clock(&mut self, now: Time) -> Result<()> {
        self.clock.store(now, Ordering::SeqCst);
        set(self.folder.path(), &self.clock)
    }

    async fn invite(
        &mut self,
        invited: &[&str],
        routed: (Router, bool),
        dies_after: Option<u32>,
    ) -> Result<()> {
        let inviter = self.person(INVITER);
        let key = known::key(self.now(), self.sessions.len())?;
        let invite = known::invite(invited, routed, (&inviter.session_key, key))?;
        let client = inviter.client.clone();
        let asking = until("the invite", async || match client.invite(&invite).await {
            Ok(status) => Ok(Some(status)),
            // It has asked again by itself for as long as an answer may take.
            Err(CallError::Deadline) => Ok(None),
            Err(other) => Err(other.into()),
        });
        let status = if dies(dies_after) {
            let (status, died) = tokio::join!(asking, self.die());
            died?;
            status?
        } else {
            asking.await?
        };
        self.sessions.push(Known::new(status.session, status.ticket));
        Ok(())
    }

    async fn act(
        &mut self,
        session: usize,
        device: Device,
        does: Does,
        dies_after: Option<u32>,
    ) -> Result<Option<Result<(), ErrorCode>>> {
        let person = self.person(device);
        let operation = self.sessions[session].operation(device, does, &person.session_key);
        let client = person.client.clone();
        let asking = in_time("the answer", device::ask(&client, operation));
        let answer = if dies(dies_after) {
            let (answer, died) = tokio::join!(asking, self.die());
            died?;
            answer?
        } else {
            asking.await?
        };
        match answer {
            Ok(accepted) => {
                if let Some(accepted) = accepted {
                    self.sessions[session].accepted(device, accepted);
                }
                Ok(Some(Ok(())))
            }
            Err(CallError::Refused(refused)) => Ok(Some(Err(refused.code))),
            Err(CallError::ConnectionLost) if dies(dies_after) => Ok(None),
            Err(other) => bail!("{does:?}: {other}"),
        }
    }

    async fn settle(&mut self, dies_after: Option<u32>) -> Result<()> {
        if dies(dies_after) { self.die().await } else { Ok(()) }
    }

    /// Nobody is away for long.
    async fn look(&mut self, _: Option<Device>) -> Result<Vec<(usize, Device)>> {
        Ok(vec![])
    }

    async fn hear(&mut self, acting: Option<Device>) -> Result<Vec<Heard>> {
        let mut heard = vec![];
        for (device, person) in &mut self.people {
            person.caught_up().await?;
            for event in person.events() {
                let session =
                    self.sessions.iter().position(|known| words::session(&event) == Some(&known.id));
                let Some(session) = session else { continue };
                heard.push((session, *device, words::of(&event)));
                self.sessions[session].learn(*device, event, acting);
            }
        }
        Ok(heard)
    }

    async fn stored(&self, session: usize) -> Result<Stored> {
        let shown = self.admin.session(&self.sessions[session].id).await?;
        let all = |name: &str| shown.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        let text = |of: &Value, name: &str| of[name].as_str().unwrap_or_default().to_owned();
        let leg = |leg: &Value| {
            let user = leg["user"].as_u64().and_then(|user| usize::try_from(user).ok());
            let state = text(leg, "state").replace("pushed", "queued");
            Ok((self.name(&text(leg, "device"))?, (user.context("no user")?, state)))
        };
        let participant = |it: &Value| self.name(&text(it, "device"));
        let mut participants: Vec<String> =
            all("participants").iter().map(participant).collect::<Result<_>>()?;
        participants.sort();
        Ok(Stored {
            users: all("invitations").iter().map(|it| text(it, "state")).collect(),
            legs: all("legs").iter().map(leg).collect::<Result<_>>()?,
            participants,
        })
    }

    async fn waits(&mut self, times: u32) -> Result<bool> {
        time::sleep(MOMENT).await;
        Ok(times < LOOKS)
    }

    async fn vanish(&mut self, device: Device) -> Result<()> {
        let person = self.person(device);
        person.front.point_at(self.process.http);
        person.caught_up().await
    }

    /// It did by itself.
    async fn comes_back(&mut self, _: Device) -> Result<()> {
        Ok(())
    }

    async fn die(&mut self) -> Result<()> {
        self.process.kill().await?;
        self.process = serve(&self.program, self.folder.path(), &self.port).await?;
        self.all_here().await
    }

    async fn next_run(&mut self) -> Result<()> {
        self.sessions.clear();
        self.set_clock(self.now() + DAY).await?;
        self.hear(None).await.map(drop)
    }

    async fn end(mut self) -> Result<()> {
        for person in self.people.values() {
            person.client.close().await;
        }
        self.process.kill().await
    }
}

/// The model's routers, as a tenant's service. What it is asked is signed by the time of the machine.
async fn routers() -> Result<Service> {
    Service::start(|asked| {
        if asked.get("describe").is_some() {
            return json!({ "name": "model", "version": "1", "summary": "Rings.", "text_prefixes": [] });
        }
        router::answer(asked).unwrap_or_else(|| json!({}))
    })
    .await
}

async fn serve(program: &str, folder: &Path, port: &Port) -> Result<Process> {
    let (settings, listen) = (settings(folder).display().to_string(), port.addr.to_string());
    Process::with(program, &data(folder), ["--settings", &settings, "--listen", &listen]).await
}

/// The whole file at once: who reads it meanwhile has the time before or after.
fn set(folder: &Path, clock: &AtomicU64) -> Result<()> {
    let next = folder.join("next");
    fs::write(&next, clock.load(Ordering::SeqCst).to_string())?;
    Ok(fs::rename(next, folder.join("clock"))?)
}

fn settings(folder: &Path) -> PathBuf {
    folder.join("settings.toml")
}

fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

fn dies(after: Option<u32>) -> bool {
    after.is_some_and(|after| after % DEATHS == 1)
}
