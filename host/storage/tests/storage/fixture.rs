//! A database of each kind, and rows to put into it.

use std::path::Path;

use sqlx::{Connection as _, PgConnection, SqliteConnection};
use switchhook_core::{
    policy::Slot,
    row::{
        Attempt, Deadline, Decision, Device, Forward, Gateway, Invitation, InvitationState,
        IssuedCredentials, KeptAnswer, Leg, LegState, Message, Milestones, OutboxEntry, OutboxKind,
        OutboxState, Participant, Provider, Registration, Secret, SecretKind, Session, Timer, TimerKind,
        TransitAnswer, User, UserState, Validation,
    },
};
use switchhook_programs::{postgres, skipped};
use switchhook_protocol::{
    device_key::{Algorithm, DeviceKey, KeyBytes},
    endpoint::EndpointId,
    id::{DeviceId, MessageId, NodeId, ProfileId, SessionId, TenantId},
    invitation::TakeMode,
    registration::Scope,
    time::Timestamp,
};
use switchhook_storage::{Clock, Database, DueTimer, Settings, Storage, TenantStorage};
use tokio::sync::oneshot;

/// Runs each body on each database: `storage` is freshly made, with tenant [`ACME`].
macro_rules! on_each_database {
    ($($(#[$attribute:meta])* async fn $name:ident($fixture:ident) $body:block)*) => {$(
        $(#[$attribute])*
        async fn $name($fixture: crate::fixture::Fixture) $body

        mod $name {
            #[tokio::test]
            async fn sqlite() {
                super::$name(crate::fixture::Fixture::sqlite().await).await;
            }

            #[tokio::test]
            async fn postgres() {
                if let Some(fixture) = crate::fixture::Fixture::postgres(stringify!($name)).await {
                    super::$name(fixture).await;
                }
            }
        }
    )*};
}

/// Runs each body on two nodes: the fixture's and the other, which share a database.
macro_rules! on_two_nodes {
    ($(async fn $name:ident($fixture:ident, $other:ident) $body:block)*) => {$(
        #[tokio::test]
        async fn $name() {
            let Some($fixture) = crate::fixture::Fixture::postgres(stringify!($name)).await else { return };
            let settings = crate::fixture::settings($fixture.database.clone());
            let $other = switchhook_storage::Storage::open(settings).await.unwrap();
            $body
        }
    )*};
}

/// The time in tests: the writer's clock stands here.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_000_000);
/// Before [`NOW`].
pub(crate) const EARLIER: Timestamp = Timestamp::from_millis(900_000);
/// After [`NOW`].
pub(crate) const LATER: Timestamp = Timestamp::from_millis(1_100_000);

/// An opened database.
pub(crate) struct Fixture {
    pub(crate) storage: Storage,
    pub(crate) database: Database,
    _folder: Option<tempfile::TempDir>,
}

impl Fixture {
    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("switchhook.db");
        Self::open(Database::Sqlite { path }, Some(folder)).await
    }

    /// None, and the test says so, where there is no PostgreSQL.
    pub(crate) async fn postgres(test: &str) -> Option<Self> {
        match postgres::database().await {
            Ok(url) => Some(Self::open(Database::Postgres { url }, None).await),
            Err(why) => {
                skipped::say(test, &why);
                None
            }
        }
    }

    async fn open(database: Database, folder: Option<tempfile::TempDir>) -> Self {
        let storage = Storage::open(settings(database.clone())).await.unwrap();
        for name in ["acme", "other"] {
            storage.tenants().create(&tenant(name), NOW).await.unwrap();
        }
        Self { storage, database, _folder: folder }
    }

    /// The file of a SQLite database.
    pub(crate) fn path(&self) -> &Path {
        match &self.database {
            Database::Sqlite { path } => path,
            Database::Postgres { .. } => panic!("it is no file"),
        }
    }

    /// Says something to the database behind the storage's back.
    pub(crate) async fn say(&self, statement: &'static str) {
        match &self.database {
            Database::Sqlite { path } => {
                let mut connection = SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
                sqlx::query(statement).execute(&mut connection).await.unwrap();
            }
            Database::Postgres { url } => {
                let mut connection = PgConnection::connect(url).await.unwrap();
                sqlx::query(statement).execute(&mut connection).await.unwrap();
            }
        }
    }

    /// What PostgreSQL counts.
    pub(crate) async fn count(&self, statement: &'static str) -> i64 {
        let Database::Postgres { url } = &self.database else { panic!("it is a file") };
        let mut connection = PgConnection::connect(url).await.unwrap();
        sqlx::query_scalar(statement).fetch_one(&mut connection).await.unwrap()
    }

    /// Tenant `acme`.
    pub(crate) fn acme(&self) -> TenantStorage {
        self.storage.of(&tenant("acme"))
    }

    /// Tenant `acme`, with these devices.
    pub(crate) async fn with_devices(&self, names: &[&str]) -> TenantStorage {
        let acme = self.acme();
        for name in names {
            enrol(&acme, name).await;
        }
        acme
    }

    /// Closes, and opens again.
    pub(crate) async fn reopen(&mut self) {
        self.storage.close().await;
        self.storage = Storage::open(settings(self.database.clone())).await.unwrap();
    }
}

/// Keeps the writer busy until [`Self::release`]: what is queued meanwhile is one group.
pub(crate) struct Held {
    release: oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<()>,
}

impl Held {
    pub(crate) async fn hold(storage: &TenantStorage) -> Self {
        let (begun, has_begun) = oneshot::channel();
        let (release, released) = oneshot::channel::<()>();
        let storage = storage.clone();
        #[expect(clippy::disallowed_methods, reason = "the test waits for it itself")]
        let ended = tokio::spawn(async move {
            let held = storage.run("hold", async move |_| {
                begun.send(()).unwrap();
                released.await.unwrap();
                Ok::<(), switchhook_storage::StorageError>(())
            });
            held.await.unwrap();
        });
        has_begun.await.unwrap();
        Self { release, ended }
    }

    pub(crate) async fn release(self) {
        self.release.send(()).unwrap();
        self.ended.await.unwrap();
    }
}

pub(crate) fn settings(database: Database) -> Settings {
    // The tests' PostgreSQL ends with its machine.
    Settings { allow_lossy_database: true, ..Settings::new(database, Clock::new(|| NOW)) }
}

pub(crate) async fn enrol(storage: &TenantStorage, name: &str) {
    storage
        .devices()
        .insert(&device(name), push_token_hash(name), &"epoch-1".parse().unwrap())
        .await
        .unwrap();
}

pub(crate) fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

pub(crate) fn id(name: &str) -> DeviceId {
    name.parse().unwrap()
}

pub(crate) fn node(name: &str) -> NodeId {
    name.parse().unwrap()
}

pub(crate) fn session_id(name: &str) -> SessionId {
    name.parse().unwrap()
}

pub(crate) fn message_id(name: &str) -> MessageId {
    name.parse().unwrap()
}

pub(crate) fn alice() -> EndpointId {
    "+15550100".parse().unwrap()
}

pub(crate) fn push_token_hash(name: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash[..name.len()].copy_from_slice(name.as_bytes());
    hash
}

pub(crate) fn device(name: &str) -> Device {
    Device {
        id: id(name),
        application: "phone".parse().unwrap(),
        kind: "tablet".to_owned(),
        key: DeviceKey { algorithm: Algorithm::P256, public: KeyBytes(vec![4; 65]) },
        enrolled_at: NOW,
        push_token_until: LATER,
        dials_from: None,
    }
}

pub(crate) fn message(device: &str, name: &str) -> Message {
    Message {
        device: id(device),
        id: message_id(name),
        event: format!(r#"{{"kind":"invite","body":{{"n":"{name} \" \u0000 ü"}}}}"#),
        expires_at: LATER,
        collapse_key: None,
    }
}

pub(crate) fn registration(device: &str) -> Registration {
    Registration {
        application: "phone".parse().unwrap(),
        endpoint: alice(),
        device: id(device),
        method: "sms".parse().unwrap(),
        registered_at: NOW,
    }
}

pub(crate) fn attempt(name: &str, key: &str) -> Attempt {
    Attempt {
        id: name.parse().unwrap(),
        method: "sms".parse().unwrap(),
        key: key.to_owned(),
        device: id("phone"),
        profile: None,
        plugin_version: 3,
        state: Some(vec![0, 255, 7]),
        version: 1,
        expires_at: LATER,
        finished: false,
    }
}

pub(crate) fn user(password: &str) -> User {
    User {
        id: alice(),
        password: password.to_owned(),
        addresses: vec!["alice@example.org".parse().unwrap()],
        state: UserState::Active,
        changed_at: NOW,
    }
}

pub(crate) fn profile() -> ProfileId {
    "p-1".parse().unwrap()
}

pub(crate) fn credentials(serial: &str) -> IssuedCredentials {
    IssuedCredentials {
        scope: Scope::Address,
        profile: profile(),
        endpoint: Some(alice()),
        device: id("phone"),
        serial: serial.to_owned(),
        expires_at: LATER,
    }
}

pub(crate) fn deadline() -> Deadline {
    Deadline { attempt: "attempt-1".parse().unwrap(), due_at: LATER }
}

pub(crate) fn secret(name: &str) -> Secret {
    Secret {
        id: name.to_owned(),
        kind: SecretKind::Code,
        attempt: "attempt-1".parse().unwrap(),
        endpoint: alice(),
        device: Some(id("phone")),
        key_id: [1, 2, 3, 4],
        digest: vec![9; 32],
        tries_left: 2,
        expires_at: LATER,
        used_at: None,
    }
}

/// Of an application, until [`LATER`].
pub(crate) fn validation(name: &str) -> Validation {
    Validation {
        application: "phone".parse().unwrap(),
        id: name.parse().unwrap(),
        attempt: format!("of-{name}").parse().unwrap(),
        address: alice(),
        asked_at: NOW,
        expires_at: LATER,
        validated_at: None,
    }
}

pub(crate) fn session(name: &str) -> Session {
    Session {
        id: session_id(name),
        application: "phone".parse().unwrap(),
        inviter: id("phone"),
        inviter_endpoint: alice(),
        purpose: "call".to_owned(),
        created_at: NOW,
        expires_at: LATER,
        generation: 1,
        routing: None,
        take: TakeMode::Choose,
    }
}

pub(crate) fn participant(session: &str, device: &str) -> Participant {
    Participant {
        session: session_id(session),
        device: id(device),
        endpoint: alice(),
        kind: "phone".to_owned(),
        user: None,
        joined_at: NOW,
        seen_at: NOW,
    }
}

pub(crate) fn invitation(session: &str, user: u16) -> Invitation {
    Invitation {
        session: session_id(session),
        user,
        endpoint: alice(),
        state: InvitationState::Ringing,
        taken_by: None,
        rings_until: LATER,
        course: None,
    }
}

pub(crate) fn leg(session: &str, device: &str) -> Leg {
    Leg {
        session: session_id(session),
        user: 0,
        device: id(device),
        wave: 1,
        state: LegState::Planned,
        lease_until: LATER,
        ring: Some("{}".to_owned()),
        changed_at: NOW,
        times: Milestones::default(),
    }
}

pub(crate) fn forward(session: &str, to: &str) -> Forward {
    Forward { session: session_id(session), user: 0, to: to.parse().unwrap(), at: NOW }
}

/// A decision that the slot's declared default made.
pub(crate) fn decision(outcome: &str) -> Decision {
    Decision {
        at: NOW,
        slot: Slot::InviteRouter,
        plugin: None,
        version: 0,
        outcome: outcome.to_owned(),
        failure: Some("no plugin is active".to_owned()),
        micros: 7,
    }
}

pub(crate) fn timer(session: &str, kind: TimerKind, due_at: Timestamp) -> Timer {
    Timer { session: session_id(session), kind, due_at }
}

/// The timer as it is found when its time has come.
pub(crate) fn due(storage: &TenantStorage, timer: &Timer, tries: u32) -> DueTimer {
    DueTimer { tenant: storage.tenant().clone(), timer: timer.clone(), tries }
}

pub(crate) fn entry(name: &str, queued_at: Timestamp) -> OutboxEntry {
    OutboxEntry {
        id: message_id(name),
        kind: OutboxKind::Text,
        attempt: "attempt-1".parse().unwrap(),
        gateway: Some("transit".parse().unwrap()),
        payload: vec![0, 1, 254, 255],
        state: OutboxState::Queued,
        queued_at,
    }
}

pub(crate) fn gateway(name: &str) -> Gateway {
    Gateway {
        id: name.parse().unwrap(),
        number: "+15550199".to_owned(),
        provider: Provider::Webhook { send_url: "http://localhost/send".to_owned() },
        serves: vec![],
        secret: vec![3; 40],
    }
}

/// The phone's request of this key, answered; forgotten later.
pub(crate) fn kept(key: &str, answer: &str) -> KeptAnswer {
    KeptAnswer {
        device: id("phone"),
        key: key.parse().unwrap(),
        digest: "00".to_owned(),
        answer: answer.to_owned(),
        expires_at: LATER,
    }
}

pub(crate) fn transit_answer(message: &str) -> TransitAnswer {
    TransitAnswer {
        gateway: "transit".parse().unwrap(),
        message: message.to_owned(),
        digest: [8; 32],
        status: 202,
        answer: "{}".to_owned(),
        at: NOW,
    }
}
