//! A node without sockets, driven step by step: real flows, real decisions, real storage in a file.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
    time::Duration,
};

use anyhow::{Context as _, Result};
use futures_util::poll;
use switchhook_client::identity::DeviceKey;
use switchhook_core::row::{self, Registration};
use switchhook_protocol::{
    call::Operation,
    device_key::{KeyBytes, Statement},
    error::ErrorCode,
    event::Event,
    id::TenantId,
    invitation::{Accepted, InviteStatus},
    peer::SessionKey,
    time::Timestamp,
};
use switchhook_server::{
    Settings,
    in_process::{Here, Node},
};
use switchhook_storage::{StorageError, TenantStorage};
use tempfile::TempDir;

use crate::{
    Heard,
    people::{DEVICES, Device, INVITER},
    reference::{Stored, Time},
    router::{InThisProcess, Router},
    step::Does,
    system::{
        DAY, System,
        known::{self, Known},
        words,
    },
};

/// The time in the model's world, in milliseconds.
static NOW: AtomicU64 = AtomicU64::new(1_700_000_000_000);

/// Most messages of one step.
const MOST: u32 = 64;

fn clock() -> Timestamp {
    Timestamp::from_millis(NOW.load(Ordering::SeqCst))
}

/// The real thing, below its sockets.
pub(crate) struct InProcess {
    node: Option<Node>,
    settings: Settings,
    tenant: TenantId,
    people: BTreeMap<Device, Person>,
    sessions: Vec<Known>,
    _folder: TempDir,
}

/// A device's own.
struct Person {
    row: row::Device,
    session_key: SessionKey,
    /// Its connection; none while it has vanished.
    here: Option<Here>,
    /// Up to here its mailbox was read.
    read: u64,
}

impl InProcess {
    pub(crate) async fn start() -> Result<Self> {
        Self::with(|_| {}).await
    }

    /// On settings that are changed before it starts.
    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Result<Self> {
        let memory = std::path::Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = tempfile::tempdir_in(parent)?;
        let mut settings = Settings::on_free_ports(folder.path().join("data"));
        change(&mut settings);
        let tenant: TenantId = "default".parse()?;
        let people = DEVICES.into_iter().map(|device| Ok((device, Person::new(device, &tenant)?)));
        let people = people.collect::<Result<_>>()?;
        let mut system = Self { node: None, settings, tenant, people, sessions: vec![], _folder: folder };
        system.start_node().await?;
        system.enrol().await?;
        Ok(system)
    }

    async fn start_node(&mut self) -> Result<()> {
        let node = Node::start(&self.settings, clock).await?;
        node.route_by(&self.tenant, Arc::new(InThisProcess))?;
        self.node = Some(node);
        for device in DEVICES {
            self.comes_back(device).await?;
        }
        Ok(())
    }

    fn absent(&self) -> impl Iterator<Item = Device> {
        self.people.iter().filter(|(_, person)| person.here.is_none()).map(|(device, _)| *device)
    }

    fn node(&self) -> &Node {
        self.node.as_ref().unwrap()
    }

    fn storage(&self) -> TenantStorage {
        self.node().storage().of(&self.tenant)
    }

    async fn enrol(&self) -> Result<()> {
        for (index, (device, person)) in (0_u8..).zip(&self.people) {
            self.storage().devices().insert(&person.row, [index; 32], &"first".parse()?).await?;
            let registration = Registration {
                application: person.row.application.clone(),
                endpoint: device.endpoint.parse()?,
                device: person.row.id.clone(),
                method: "model".parse()?,
                registered_at: clock(),
            };
            let bind = async move |tx: &mut switchhook_storage::Transaction<'_>| tx.bind(&registration).await;
            self.storage().run("bind", bind).await?;
        }
        Ok(())
    }

    /// What was handed to the writer is committed, or never will be.
    async fn wait_for_writer(&self) -> Result<()> {
        Ok(self.storage().run("wait", async |_| Ok::<(), StorageError>(())).await?)
    }
}

impl System for InProcess {
    fn now(&self) -> Time {
        NOW.load(Ordering::SeqCst)
    }

    async fn set_clock(&mut self, now: Time) -> Result<()> {
        NOW.store(now, Ordering::SeqCst);
        Ok(())
    }

    async fn invite(
        &mut self,
        invited: &[&str],
        routed: (Router, bool),
        dies_after: Option<u32>,
    ) -> Result<()> {
        let key = known::key(self.now(), self.sessions.len())?;
        let invite = known::invite(invited, routed, (&self.people[&INVITER].session_key, key))?;
        let perform = || {
            let operation = Operation::Invite(invite.clone().into());
            Box::pin(self.node().perform(&self.tenant, &self.people[&INVITER].row, operation))
        };
        let answer = if let Some(answer) = watched(perform(), dies_after).await {
            answer
        } else {
            self.wait_for_writer().await?;
            perform().await
        };
        let answer = answer.map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
        let InviteStatus { session, ticket, .. } = serde_json::from_str(answer.get())?;
        self.sessions.push(Known::new(session, ticket));
        Ok(())
    }

    async fn act(
        &mut self,
        session: usize,
        device: Device,
        does: Does,
        dies_after: Option<u32>,
    ) -> Result<Option<Result<(), ErrorCode>>> {
        let session_key = &self.people[&device].session_key;
        let operation = self.sessions[session].operation(device, does, session_key);
        let performed = self.node().perform(&self.tenant, &self.people[&device].row, operation);
        let Some(answer) = watched(Box::pin(performed), dies_after).await else {
            self.wait_for_writer().await?;
            return Ok(None);
        };
        if let (Does::Accepts, Ok(answer)) = (does, &answer) {
            let accepted: Accepted = serde_json::from_str(answer.get())?;
            self.sessions[session].accepted(device, accepted);
        }
        Ok(Some(answer.map(drop).map_err(|refused| refused.code)))
    }

    async fn settle(&mut self, dies_after: Option<u32>) -> Result<()> {
        if dies_after.is_some() {
            watched(self.node().fire_due(), dies_after).await;
            self.wait_for_writer().await?;
        }
        while self.node().storage().timers().next_due().await?.is_some_and(|due| due <= clock()) {
            self.node().fire_due().await?;
        }
        Ok(())
    }

    async fn look(&mut self, vanished: Option<Device>) -> Result<Vec<(usize, Device)>> {
        let mut lost = vec![];
        for (index, known) in self.sessions.iter().enumerate() {
            let participants = self.storage().sessions().participants(&known.id).await?;
            let is_lost = |participant: &row::Participant| {
                let lost_at = participant
                    .seen_at
                    .after(Duration::from_secs(self.settings.sessions.lost_after_s.into()));
                clock() >= lost_at
            };
            let gone = |device: &Device| {
                participants.iter().any(|it| it.device.as_str() == device.id && is_lost(it))
            };
            lost.extend(vanished.filter(gone).map(|device| (index, device)));
        }
        self.node().take_out_lost().await?;
        Ok(lost)
    }

    async fn hear(&mut self, acting: Option<Device>) -> Result<Vec<Heard>> {
        let mut heard = vec![];
        for device in DEVICES {
            let (storage, id) = (self.storage(), device.id.parse()?);
            let mailbox = storage.mailbox(&id);
            let messages = mailbox.after(self.people[&device].read, MOST, clock()).await?;
            let Some(last) = messages.last().map(|message| message.seq) else { continue };
            mailbox.mark_delivered(last).await?;
            self.people.get_mut(&device).unwrap().read = last;
            for message in messages {
                let event: Event = serde_json::from_str(&message.event)?;
                let session =
                    self.sessions.iter().position(|known| words::session(&event) == Some(&known.id));
                let Some(session) = session else { continue };
                heard.push((session, device, words::of(&event)));
                self.sessions[session].learn(device, event, acting);
            }
        }
        Ok(heard)
    }

    async fn stored(&self, session: usize) -> Result<Stored> {
        let (storage, id) = (self.storage(), &self.sessions[session].id);
        let sessions = storage.sessions();
        let mut participants: Vec<String> =
            sessions.participants(id).await?.into_iter().map(|it| it.device.to_string()).collect();
        participants.sort();
        let leg = |leg: row::Leg| (leg.device.to_string(), (usize::from(leg.user), words::leg(leg.state)));
        Ok(Stored {
            users: sessions.invitations(id).await?.iter().map(|it| words::invitation(it.state)).collect(),
            legs: sessions.legs(id).await?.into_iter().map(leg).collect(),
            participants,
        })
    }

    /// Whatever is due was done.
    async fn waits(&mut self, _: u32) -> Result<bool> {
        Ok(false)
    }

    async fn vanish(&mut self, device: Device) -> Result<()> {
        self.people.get_mut(&device).unwrap().here = None;
        Ok(())
    }

    async fn comes_back(&mut self, device: Device) -> Result<()> {
        let here = self.node().connect(&self.tenant, &device.id.parse()?).await;
        self.people.get_mut(&device).unwrap().here = Some(here);
        Ok(())
    }

    async fn die(&mut self) -> Result<()> {
        let absent: Vec<Device> = self.absent().collect();
        for person in self.people.values_mut() {
            person.here = None;
        }
        self.node.take().context("no node")?.die().await;
        self.start_node().await?;
        for device in absent {
            self.vanish(device).await?;
        }
        Ok(())
    }

    async fn next_run(&mut self) -> Result<()> {
        for device in DEVICES {
            self.comes_back(device).await?;
        }
        self.set_clock(self.now() + DAY).await?;
        self.settle(None).await?;
        self.node().take_out_lost().await?;
        self.hear(None).await?;
        for (device, person) in &self.people {
            self.storage().mailbox(&device.id.parse()?).acknowledge(person.read).await?;
        }
        self.sessions.clear();
        Ok(())
    }

    async fn end(mut self) -> Result<()> {
        self.people.clear();
        self.node.take().context("no node")?.die().await;
        Ok(())
    }
}

impl Person {
    fn new(device: Device, tenant: &TenantId) -> Result<Self> {
        let key = DeviceKey::generate(&mut rand::rng());
        let public = KeyBytes(vec![7; 32]);
        let signature = key.sign(&Statement::SessionKey { tenant, public: &public.0 });
        let row = row::Device {
            id: device.id.parse()?,
            application: "model".parse()?,
            kind: device.kind.to_owned(),
            key: key.public(),
            enrolled_at: clock(),
            push_token_until: clock().after(Duration::from_hours(24 * 365)),
            dials_from: None,
        };
        Ok(Self { row, session_key: SessionKey { public, signature }, here: None, read: 0 })
    }
}

/// Looks at work so many times, and drops it; or waits for it.
async fn watched<T>(work: impl Future<Output = T>, times: Option<u32>) -> Option<T> {
    let mut work = pin!(work);
    let Some(times) = times else { return Some(work.await) };
    for _ in 0..times {
        if let Poll::Ready(done) = poll!(work.as_mut()) {
            return Some(done);
        }
        tokio::task::yield_now().await;
    }
    None
}
