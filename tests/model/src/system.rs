//! The system: a node without sockets, driven step by step, and what can be seen of it.

mod known;
mod words;

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
    connection_data::ConnectionData,
    device_key::{KeyBytes, Statement},
    error::ErrorCode,
    event::Event,
    id::TenantId,
    invitation::{Accepted, Invite, InviteStatus, TakeMode},
    peer::SessionKey,
    time::Timestamp,
};
use switchhook_server::{
    Settings,
    in_process::{Here, Node},
};
use switchhook_storage::{StorageError, TenantStorage};
use tempfile::TempDir;

use self::known::Known;
use crate::{
    Heard,
    people::{ALICE, DEVICES, Device, INVITER},
    reference::{Stored, Time},
    router::{InThisProcess, Router},
    step::Does,
};

/// The time in the model's world, in milliseconds.
static NOW: AtomicU64 = AtomicU64::new(1_700_000_000_000);

/// Between two runs: every ticket is over.
const DAY: u64 = 25 * 60 * 60 * 1000;

/// Most messages of one step.
const MOST: u32 = 64;

fn clock() -> Timestamp {
    Timestamp::from_millis(NOW.load(Ordering::SeqCst))
}

/// The real thing.
pub(crate) struct System {
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

impl System {
    pub(crate) async fn start() -> Result<Self> {
        let memory = std::path::Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = tempfile::tempdir_in(parent)?;
        let settings = Settings::on_free_ports(folder.path().join("data"));
        let tenant: TenantId = "default".parse()?;
        let people = DEVICES.into_iter().map(|device| Ok((device, Person::new(device, &tenant)?)));
        let people = people.collect::<Result<_>>()?;
        let mut system = Self { node: None, settings, tenant, people, sessions: vec![], _folder: folder };
        system.start_node().await?;
        system.enrol().await?;
        Ok(system)
    }

    pub(crate) fn now() -> Time {
        NOW.load(Ordering::SeqCst)
    }

    pub(crate) fn set_clock(now: Time) {
        NOW.store(now, Ordering::SeqCst);
    }

    /// What is left of this run comes to its end.
    pub(crate) async fn next_run(&mut self) -> Result<()> {
        for device in DEVICES {
            self.comes_back(device).await;
        }
        Self::set_clock(Self::now() + DAY);
        self.settle(None).await?;
        self.node().take_out_lost().await?;
        self.hear(None).await?;
        for (device, person) in &self.people {
            self.storage().mailbox(&device.id.parse()?).acknowledge(person.read).await?;
        }
        self.sessions.clear();
        Ok(())
    }

    pub(crate) async fn end(mut self) -> Result<()> {
        self.people.clear();
        self.node.take().context("no node")?.die().await;
        Ok(())
    }

    /// The node dies, and another starts.
    pub(crate) async fn die(&mut self) -> Result<()> {
        let absent: Vec<Device> = self.absent().collect();
        for person in self.people.values_mut() {
            person.here = None;
        }
        self.node.take().context("no node")?.die().await;
        self.start_node().await?;
        for device in absent {
            self.vanish(device);
        }
        Ok(())
    }

    async fn start_node(&mut self) -> Result<()> {
        let node = Node::start(&self.settings, clock).await?;
        node.route_by(&self.tenant, Arc::new(InThisProcess))?;
        self.node = Some(node);
        for device in DEVICES {
            self.comes_back(device).await;
        }
        Ok(())
    }

    pub(crate) fn vanish(&mut self, device: Device) {
        self.people.get_mut(&device).unwrap().here = None;
    }

    pub(crate) async fn comes_back(&mut self, device: Device) {
        let here = self.node().connect(&self.tenant, &device.id.parse().unwrap()).await;
        self.people.get_mut(&device).unwrap().here = Some(here);
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

    pub(crate) async fn invite(&mut self, invited: &[&str], router: Router, choose: bool) -> Result<()> {
        let invite = Invite {
            invited: invited.iter().map(|endpoint| endpoint.parse()).collect::<Result<_, _>>()?,
            from: ALICE.parse()?,
            purpose: router.word().to_owned(),
            display_name: "Alice".to_owned(),
            connection_data: ConnectionData::default(),
            session_key: self.people[&INVITER].session_key.clone(),
            take: if choose { TakeMode::Choose } else { TakeMode::First },
        };
        let answer =
            self.node().perform(&self.tenant, &self.people[&INVITER].row, Operation::Invite(invite.into()));
        let answer = answer.await.map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
        let InviteStatus { session, ticket, .. } = serde_json::from_str(answer.get())?;
        self.sessions.push(Known::new(session, ticket));
        Ok(())
    }

    /// None: the node died before it answered.
    pub(crate) async fn act(
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

    /// Everything that is due is done; the node perhaps dies once on the way.
    pub(crate) async fn settle(&self, dies_after: Option<u32>) -> Result<()> {
        if dies_after.is_some() {
            watched(self.node().fire_due(), dies_after).await;
            self.wait_for_writer().await?;
        }
        while self.node().storage().timers().next_due().await?.is_some_and(|due| due <= clock()) {
            self.node().fire_due().await?;
        }
        Ok(())
    }

    /// What was handed to the writer is committed, or never will be.
    async fn wait_for_writer(&self) -> Result<()> {
        Ok(self.storage().run("wait", async |_| Ok::<(), StorageError>(())).await?)
    }

    /// The node looks for vanished participants; says whom it has to take out.
    pub(crate) async fn look(&self, vanished: Option<Device>) -> Result<Vec<(usize, Device)>> {
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

    /// What has come into the mailboxes of sessions of this run.
    pub(crate) async fn hear(&mut self, acting: Option<Device>) -> Result<Vec<Heard>> {
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
                let session = self.sessions.iter().position(|known| *words::session(&event) == known.id);
                let Some(session) = session else { continue };
                heard.push((session, device, words::of(&event)));
                self.sessions[session].learn(device, event, acting);
            }
        }
        Ok(heard)
    }

    /// What is stored of a session.
    pub(crate) async fn stored(&self, session: usize) -> Result<Stored> {
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
