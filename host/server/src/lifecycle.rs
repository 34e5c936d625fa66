//! From settings to a running server, and its two-stage end.
//!
//! Start: data folder, secrets, database; what the process before left in doubt is reported; plugins
//! are loaded; every socket is bound before the first one is served. End: the first stage takes
//! nothing new and lets what has begun finish, for a stated time; the second drops the rest.

use std::{
    fmt, fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use prometheus_client::registry::Registry;
use rand::{SeedableRng as _, rngs::StdRng};
use switchhook_cdx::{Cdx, CdxConfig, Ip};
use switchhook_core::{relay_choice::RelayHost, relay_peers::PeerPolicy, row::OutboxKind, seal::KeyRing};
use switchhook_delivery::{Outbound, SmsSender};
use switchhook_plugin_runtime::{ArtefactSettings, Compiler, EngineError, Runtime, RuntimeSettings, Slots};
use switchhook_protocol::{id::RelayHostId, server::CdxAddresses};
use switchhook_relay::{Relay, RelayConfig};
use switchhook_storage::{AdminToken, AuditEntry, Clock, Database, OpenError, Storage};
use tokio::{
    sync::{Notify, Semaphore},
    time,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use crate::{
    app::App,
    bounds::Bounds,
    clock,
    decisions::Decisions,
    flows::FlowError,
    granted::Granted,
    http,
    keys::Keys,
    limits,
    listen::{
        Listener,
        tls::{CertificateError, Tls},
    },
    metrics::Metrics,
    online::Online,
    outbox,
    plugins::{self, Plugins, uploads::Uploads},
    presence,
    rates::{Rate, Rates},
    sandbox::{self, SandboxFile},
    secrets::{self, SecretsError},
    settings::{self, Settings},
    tenants, timers,
};

/// TURN realm of the built-in relay.
const REALM: &str = "switchhook";

/// Name of the built-in relay host.
const BUILT_IN: &str = "built-in";

/// Where a running server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// HTTP and WebSocket.
    pub http: SocketAddr,
    /// CDX: STUN on two UDP ports.
    pub cdx: CdxAddresses,
    /// TURN over UDP.
    pub relay: SocketAddr,
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder cannot be made.
    #[error("cannot make the data folder {}", .0.display())]
    Data(PathBuf, #[source] io::Error),
    /// The secrets cannot be used.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The database cannot be opened.
    #[error("the database does not open")]
    Storage(#[from] OpenError),
    /// The engine of the plugins does not start.
    #[error("the engine of the plugins does not start")]
    Engine(#[from] EngineError),
    /// The TLS certificate cannot be used.
    #[error("TLS does not start")]
    Tls(#[from] CertificateError),
    /// A port is taken, or the address is not ours.
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] io::Error),
    /// CDX cannot bind its ports.
    #[error("CDX does not start")]
    Cdx(#[from] switchhook_cdx::BindError),
    /// The relay cannot bind its port.
    #[error("the relay does not start")]
    Relay(#[from] switchhook_relay::BindError),
    /// The HTTP client for gateways cannot be made.
    #[error("the client of the SMS gateways does not start: {0}")]
    Texts(String),
    /// The HTTP client for tenants' services cannot be made.
    #[error("the client of the tenants' services does not start: {0}")]
    Outbound(String),
    /// The first rows cannot be read or written.
    #[error("the first rows cannot be read or written: {0}")]
    Setup(String),
}

impl From<FlowError> for StartError {
    fn from(error: FlowError) -> Self {
        Self::Setup(error.to_string())
    }
}

/// A running server.
pub struct Server {
    app: Arc<App>,
    relay: Relay,
    addresses: Addresses,
    tls: Option<Arc<Tls>>,
}

impl Server {
    /// Starts on these settings; ports that are 0 are any free ones.
    pub async fn start(settings: &Settings) -> Result<Self, StartError> {
        make_data_folder(&settings.data)?;
        let keys = Keys::new(secrets::root_keys(&settings.data, &mut rand::rng())?);
        let admin_token = secrets::admin_token(&settings.data, &mut rand::rng())?;
        let storage = open(settings).await?;
        let mut registry = Registry::default();
        storage.metrics().register(&mut registry);
        let plugins = plugin_runtime(settings, &keys.host(), &mut registry)?;

        let listener = listen(settings).await?;
        let tls = listener.tls();
        let cdx = bind_cdx(&settings.cdx, keys.cdx().clone()).await?;
        cdx.metrics().register(&mut registry);
        let host: RelayHostId = BUILT_IN.parse().map_err(|wrong| StartError::Setup(format!("{wrong}")))?;
        let relay = bind_relay(&settings.relay, &host, keys.relay(&host)).await?;
        relay.metrics().register(&mut registry);

        let [primary, secondary] = cdx.addrs();
        let addresses = Addresses {
            http: listener.addr().map_err(|error| StartError::Listen(settings.http.listen, error))?,
            cdx: CdxAddresses { primary, secondary },
            relay: relay.addr(),
        };
        let metrics = Metrics::default();
        metrics.register(registry.sub_registry_with_prefix("switchhook"));
        let app = Arc::new(App {
            clock: clock::now,
            storage,
            keys,
            plugins,
            granted: Granted::default(),
            bounds: Bounds::new(settings.limits),
            decisions: Decisions::default(),
            online: Arc::new(Online::default()),
            texts: SmsSender::new().map_err(|error| StartError::Texts(error.to_string()))?,
            text_rates: Rates::new(limits::TEXTS_TO_NUMBER),
            outbound: outbound(&settings.plugins)?,
            fetch_rates: Rates::new(Rate::per_minute(0)),
            requests_of_device: Rates::new(limits::REQUESTS_OF_DEVICE),
            requests_of_tenant: Rates::new(limits::REQUESTS_OF_TENANT),
            metrics,
            cdx: addresses.cdx,
            relay: relay_host(host, settings, relay.addr()),
            relay_realm: REALM.to_owned(),
            outbox: outbox::Hints::default(),
            lost_after: Duration::from_secs(settings.sessions.lost_after_s.max(1).into()),
            timers: Notify::new(),
            uploads: Uploads::default(),
            unknown_sockets: Arc::new(Semaphore::new(limits::UNKNOWN_SOCKETS)),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        });
        Box::pin(set_up(&app, &settings.data, &admin_token)).await?;
        cdx.run(&app.tasks, &app.stop);
        run(&app, listener, registry);
        Ok(Self { app, relay, addresses, tls })
    }

    /// Where it answers.
    pub const fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Reads the files of the certificate again, soon.
    pub fn reload(&self) {
        let Some(tls) = &self.tls else {
            return info!("asked to read the certificate again, but there is no TLS here");
        };
        tls.reload();
    }

    /// First stage: takes nothing new, tells every client to come again, finishes what has begun.
    /// Second stage, after a stated time or when `hurry` is done: drops the rest.
    pub async fn shutdown(self, hurry: impl Future<Output = ()>) {
        let Self { app, relay, .. } = self;
        app.stop.cancel();
        app.tasks.close();
        tokio::select! {
            biased;
            () = app.tasks.wait() => {}
            () = hurry => warn!("told again to stop: dropping what has begun"),
            () = time::sleep(limits::DRAIN) => warn!("the time to finish is over: dropping what has begun"),
        }
        relay.shutdown().await;
        app.storage.close().await;
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

fn make_data_folder(data: &Path) -> Result<(), StartError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(data).map_err(|error| StartError::Data(data.to_owned(), error))
}

async fn open(settings: &Settings) -> Result<Storage, OpenError> {
    let database = match &settings.database {
        Some(url) => Database::Postgres { url: url.reveal().to_owned() },
        None => Database::Sqlite { path: settings.data.join("switchhook.db") },
    };
    Storage::open(switchhook_storage::Settings::new(database, Clock::new(clock::now))).await
}

fn plugin_runtime(
    settings: &Settings,
    keys: &KeyRing,
    registry: &mut Registry,
) -> Result<Plugins, StartError> {
    let (_, key) = keys.mac("artefacts", &[]);
    let artefacts = Some(ArtefactSettings { folder: settings.data.join("plugins"), key });
    let compiler = settings.compiler.clone().map_or(Compiler::Here, Compiler::Process);
    let runtime = Runtime::new(RuntimeSettings { artefacts, compiler, ..RuntimeSettings::default() })?;
    let metrics = switchhook_plugin_runtime::Metrics::default();
    metrics.register(registry);
    Ok(Plugins::new(runtime.clone(), Slots::new(runtime, metrics)))
}

fn outbound(settings: &settings::Plugins) -> Result<Outbound, StartError> {
    let peers = PeerPolicy { allow_loopback: settings.allow_loopback, ..PeerPolicy::default() };
    Outbound::new(peers).map_err(|error| StartError::Outbound(error.to_string()))
}

async fn listen(settings: &Settings) -> Result<Listener, StartError> {
    let tls = match &settings.tls {
        Some(files) => Some(Arc::new(Tls::new(files).await?)),
        None => None,
    };
    let addr = settings.http.listen;
    Listener::bind(addr, tls).await.map_err(|error| StartError::Listen(addr, error))
}

async fn bind_cdx(settings: &settings::Cdx, keys: KeyRing) -> Result<Cdx, switchhook_cdx::BindError> {
    let config = CdxConfig {
        ip: Ip { bind: settings.ip, public: settings.public_ip },
        other_ip: settings.other_ip.map(|bind| Ip { bind, public: settings.other_public_ip }),
        ports: settings.ports,
        ..CdxConfig::default()
    };
    let mut rng = StdRng::from_rng(&mut rand::rng());
    Cdx::bind(&config, keys, Arc::new(clock::now), &mut rng).await
}

async fn bind_relay(
    settings: &settings::Relay,
    host: &RelayHostId,
    keys: KeyRing,
) -> Result<Relay, switchhook_relay::BindError> {
    let config = RelayConfig {
        ip: settings.listen.ip(),
        port: settings.listen.port(),
        public_ip: settings.public_ip,
        realm: REALM.to_owned(),
        peers: PeerPolicy { allow_loopback: settings.allow_loopback, ..PeerPolicy::default() },
        ..RelayConfig::new(host.clone())
    };
    Relay::bind(config, keys, Arc::new(clock::now)).await
}

/// The built-in relay, as those of a region are.
fn relay_host(id: RelayHostId, settings: &Settings, addr: SocketAddr) -> RelayHost {
    RelayHost { id, region: settings.relay.region.clone(), addr, load: 0, last_seen: clock::now() }
}

/// Label of the token that the first start makes.
const FIRST_ADMINISTRATOR: &str = "operator";

/// The token of the file, which is the truth: whoever deletes it and restarts has taken the former one back.
async fn first_administrator(app: &App, admin_token: &str) -> Result<(), FlowError> {
    let (hash, tokens) = (secrets::hash(admin_token), app.storage.admin_tokens());
    let noted = |action: &str| AuditEntry {
        at: app.now(),
        actor: "start".to_owned(),
        action: action.to_owned(),
        subject: FIRST_ADMINISTRATOR.to_owned(),
        detail: String::new(),
    };
    let all = tokens.list().await?;
    for former in &all {
        // Those that an operator has made beside it have their end.
        let of_file = former.tenant.is_none() && former.expires_at.is_none();
        if of_file && former.hash != hash && former.revoked_at.is_none() {
            tokens.revoke(&former.hash, noted("token.revoke")).await?;
        }
    }
    if all.iter().any(|token| token.hash == hash) {
        return Ok(());
    }
    let token = AdminToken {
        hash,
        tenant: None,
        label: FIRST_ADMINISTRATOR.to_owned(),
        created_at: app.now(),
        expires_at: None,
        revoked_at: None,
    };
    Ok(tokens.put(&token, noted("token.create")).await?)
}

/// First rows, what the process before left in doubt, and the plugins.
async fn set_up(app: &App, data: &Path, admin_token: &str) -> Result<(), FlowError> {
    first_administrator(app, admin_token).await?;
    if app.storage.tenants().list().await?.is_empty() {
        first_tenant(app, data).await?;
    } else {
        tenants::load_all(app).await?;
    }
    outbox::report_doubt(app).await
}

async fn first_tenant(app: &App, data: &Path) -> Result<(), FlowError> {
    let tenant = sandbox::default_tenant();
    tenants::create(app, &tenant, None).await?;
    let secret = tenants::put_sandbox(app, &tenant, sandbox::SEND_URL).await?;
    SandboxFile { secret }.write(data).map_err(|error| {
        FlowError::refused(switchhook_protocol::error::ErrorCode::Internal, &error.to_string())
    })
}

/// Sets everything going.
fn run(app: &Arc<App>, listener: Listener, registry: Registry) {
    let router = http::router(Arc::clone(app), Arc::new(registry));
    app.tasks.spawn(listener.run(Arc::clone(app), router));
    for kind in [OutboxKind::Text, OutboxKind::Fetch] {
        app.tasks.spawn(outbox::work(Arc::clone(app), kind));
    }
    app.tasks.spawn(timers::work(Arc::clone(app)));
    app.tasks.spawn(timers::sweep(Arc::clone(app)));
    app.tasks.spawn(presence::work(Arc::clone(app)));
    app.tasks.spawn(plugins::lines::work(Arc::clone(app)));
}
