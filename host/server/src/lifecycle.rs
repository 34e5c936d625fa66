//! From settings to a running server, and its two-stage end.
//!
//! Start: data folder, secrets, database, bus; every socket is bound; the keys are those of whoever was here
//! before; first rows, settings and plugins are loaded; what the process before left in doubt is reported; then
//! the first socket is served. End: the first stage takes nothing new and lets what has begun finish, for a stated
//! time; the second drops the rest.

mod first;
pub(crate) mod parts;

use std::{fmt, io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use prometheus_client::registry::Registry;
use switchhook_cdx::Cdx;
use switchhook_core::{relay_host::Said, row::OutboxKind};
use switchhook_plugin_runtime::EngineError;
use switchhook_protocol::{id::RelayHostId, server::CdxAddresses, time::Timestamp};
use switchhook_relay::Relay;
use switchhook_storage::OpenError;
use tokio::{sync::Notify, time};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use crate::{
    app::App,
    bounds::Bounds,
    clock,
    decisions::Decisions,
    flows::{
        FlowError,
        registration::{mailing::MailRates, sign_in::Guesses, texting::TextRates},
    },
    granted::Granted,
    http,
    keys::Keys,
    limits,
    listen::{
        Listener,
        doors::Doors,
        tls::{CertificateError, Tls},
    },
    metrics::Metrics,
    nodes,
    online::Online,
    outbox,
    passwords::Passwords,
    places::Shared,
    plugins, presence,
    rates::Rates,
    refused::RefusedInvites,
    relay_hosts::built_in::{self, BuiltIn},
    relayed,
    secrets::{self, SecretsError},
    settings::Settings,
    smscs::{self, Smscs},
    timers,
};

/// TURN realm of all relay hosts.
const REALM: &str = "switchhook";

/// Name of the database in the data folder.
pub(crate) const DATABASE: &str = "switchhook.db";

/// Where a running server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// HTTP and WebSocket.
    pub http: SocketAddr,
    /// CDX: STUN on two ports, over UDP and TCP.
    pub cdx: CdxAddresses,
    /// TURN, over UDP and TCP.
    pub relay: SocketAddr,
    /// TURN over TLS, if it is there.
    pub relay_tls: Option<SocketAddr>,
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
    /// The relay has no certificate to show.
    #[error("`relay.tls_port` needs a certificate: set `tls` too")]
    RelayWithoutCertificate,
    /// The HTTP client for gateways cannot be made.
    #[error("the client of the SMS gateways does not start: {0}")]
    Texts(String),
    /// The authorities of mail servers cannot be used.
    #[error("the authorities of mail servers cannot be used: {}", .0.display())]
    MailAuthorities(PathBuf, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// The authorities of gateways cannot be used.
    #[error("the authorities of gateways cannot be used: {}", .0.display())]
    GatewayAuthorities(PathBuf, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// The HTTP client for tenants' services cannot be made.
    #[error("the client of the tenants' services does not start: {0}")]
    Outbound(String),
    /// The bus cannot be used.
    #[error("the bus cannot be used")]
    Bus(#[from] switchhook_bus::ConnectError),
    /// A bus connects nodes on one database, and this one is a file.
    #[error("`bus` connects nodes that share a PostgreSQL database: set `database` too")]
    BusAlone,
    /// The keys are not those of the nodes that were on this database before.
    #[error("root.keys is not of this installation: every node of a database has the same keys")]
    ForeignKeys,
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
    relay: Arc<Relay>,
    addresses: Addresses,
    tls: Option<Arc<Tls>>,
}

/// What a prepared server begins to serve.
pub(crate) struct Edge {
    cdx: Cdx,
    listener: Listener,
    registry: Registry,
}

impl Server {
    /// Starts on these settings; ports that are 0 are any free ones.
    pub async fn start(settings: &Settings) -> Result<Self, StartError> {
        Self::start_by(settings, clock::now).await
    }

    /// The same, by this clock.
    pub(crate) async fn start_by(settings: &Settings, clock: fn() -> Timestamp) -> Result<Self, StartError> {
        // Large while it lasts, and nobody's else.
        let (server, edge) = Box::pin(Self::prepare(settings, clock)).await?;
        edge.cdx.run(&server.app.tasks, &server.app.stop);
        run(&server.app, edge.listener, edge.registry);
        server.app.tasks.spawn(relayed::work(Arc::clone(&server.app), Arc::clone(&server.relay)));
        server.app.living.spawn(built_in::work(Arc::clone(&server.app), Arc::clone(&server.relay)));
        Ok(server)
    }

    /// Everything but what moves by itself: no worker runs, no socket is served.
    #[expect(clippy::too_many_lines, reason = "one list of all that a server has")]
    pub(crate) async fn prepare(
        settings: &Settings,
        clock: fn() -> Timestamp,
    ) -> Result<(Self, Edge), StartError> {
        parts::folder(&settings.data).map_err(|error| StartError::Data(settings.data.clone(), error))?;
        let keys = Keys::new(secrets::root_keys(&settings.data, &mut rand::rng())?);
        let admin_token = secrets::admin_token(&settings.data, &mut rand::rng())?;
        let storage = parts::storage(settings, clock).await?;
        let bus = parts::bus(settings, &storage).await?;
        let mut registry = Registry::default();
        storage.metrics().register(&mut registry);
        let plugins = parts::plugins(settings, &keys.host(), &mut registry)?;

        let Ports { listener, cdx, relay, own_relay, addresses } =
            Ports::open(settings, &keys, &mut registry).await?;
        let metrics = Metrics::registered(registry.sub_registry_with_prefix("switchhook"));
        let (me, others) = parts::node(settings, addresses.http, bus, &keys, &metrics);
        let (texts, gateway_peers) = parts::texts(&settings.gateways)?;
        let mails = parts::mails(&settings.mail, gateway_peers.clone())?;
        let app = Arc::new(App {
            clock,
            web_url: settings.http.web_url.clone(),
            storage,
            keys,
            plugins,
            granted: Granted::default(),
            bounds: Bounds::new(settings.limits),
            decisions: Decisions::default(),
            refused: RefusedInvites::default(),
            online: Arc::new(Online::new(others)),
            texts,
            mails,
            gateway_peers,
            smscs: Smscs::default(),
            text_rates: TextRates::default(),
            mail_rates: MailRates::default(),
            passwords: Passwords::new(metrics.passwords.clone()),
            guesses: Guesses::default(),
            outbound: parts::outbound(&settings.plugins)?,
            fetch_rates: Rates::new(),
            requests_of_device: Rates::new(),
            requests_of_tenant: Rates::new(),
            metrics,
            cdx: addresses.cdx,
            relay: BuiltIn::new(own_relay.0, own_relay.1),
            relay_realm: REALM.to_owned(),
            region: settings.relay.region.clone(),
            outbox: outbox::Hints::default(),
            lost_after: Duration::from_secs(settings.sessions.lost_after_s.max(1).into()),
            timers: Notify::new(),
            left: Notify::new(),
            uploads: Shared::new(limits::UPLOADS, limits::UPLOADS_OF_TENANT),
            invites: Shared::new(limits::INVITES, limits::INVITES_OF_TENANT),
            doors: Doors::new(&settings.http),
            asks_for_certificates: settings.tls.as_ref().is_some_and(|tls| tls.client_certificates),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            me,
            living: TaskTracker::new(),
            ended: CancellationToken::new(),
        });
        first::check_keys(&app).await?;
        Box::pin(first::set_up(&app, &settings.data, &admin_token)).await?;
        Ok((
            Self { app, relay: Arc::new(relay), addresses, tls: listener.tls() },
            Edge { cdx, listener, registry },
        ))
    }

    /// What its flows may use.
    #[cfg(feature = "in-process")]
    pub(crate) const fn app(&self) -> &Arc<App> {
        &self.app
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
        let leaving = Arc::clone(&app);
        app.tasks.spawn(async move { leaving.online.send_away().await });
        app.tasks.close();
        let ended = async {
            // A text that still waits for an SMSC then hears that it is away, in time to be stored.
            drop(time::timeout(limits::DRAIN / 2, app.tasks.wait()).await);
            app.smscs.leave();
            app.tasks.wait().await;
            app.smscs.finish().await;
        };
        let finishing = async {
            tokio::select! {
                biased;
                () = ended => true,
                () = hurry => {
                    warn!("told again to stop: dropping what has begun");
                    false
                }
            }
        };
        let finished = time::timeout(limits::DRAIN, finishing).await.unwrap_or_else(|_| {
            warn!("the time to finish is over: dropping what has begun");
            false
        });
        app.smscs.leave();
        relay.shutdown().await;
        app.ended.cancel();
        app.living.close();
        app.living.wait().await;
        // What is dropped is taken up by whoever finds this node dead.
        if finished {
            nodes::leave(&app).await;
        }
        app.online.others().close().await;
        app.storage.close().await;
    }
}

/// What is reached from outside.
struct Ports {
    listener: Listener,
    cdx: Cdx,
    relay: Relay,
    own_relay: (RelayHostId, Said),
    addresses: Addresses,
}

impl Ports {
    async fn open(settings: &Settings, keys: &Keys, registry: &mut Registry) -> Result<Self, StartError> {
        let listener = parts::listener(settings).await?;
        let cdx = parts::cdx(&settings.cdx, keys.cdx())?;
        cdx.metrics().register(registry);
        let host = built_in::id(&settings.relay, &mut rand::rng());
        let host = host.map_err(|wrong| StartError::Setup(wrong.to_string()))?;
        let relay = parts::relay(&settings.relay, &host, (keys.relay(&host), REALM), listener.tls()).await?;
        relay.metrics().register(registry);

        let http = listener.addr().map_err(|error| StartError::Listen(settings.http.listen, error))?;
        let (cdx_addresses, relay_tls) = (parts::cdx_addresses(&cdx), relay.tls_addr());
        let addresses = Addresses { http, cdx: cdx_addresses, relay: relay.addr(), relay_tls };
        let said = built_in::said(&settings.relay, &relay);
        said.check().map_err(|why| StartError::Setup(format!("`relay` in the settings: {why}")))?;
        Ok(Self { listener, cdx, relay, own_relay: (host, said), addresses })
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

/// Sets everything going.
fn run(app: &Arc<App>, listener: Listener, registry: Registry) {
    let router = http::router(Arc::clone(app), Arc::new(registry));
    app.tasks.spawn(listener.run(Arc::clone(app), router));
    for kind in [OutboxKind::Text, OutboxKind::Mail, OutboxKind::Fetch] {
        app.tasks.spawn(outbox::work(Arc::clone(app), kind));
    }
    nodes::run(app);
    app.tasks.spawn(smscs::work(Arc::clone(app)));
    app.tasks.spawn(timers::work(Arc::clone(app)));
    app.tasks.spawn(timers::sweep(Arc::clone(app)));
    app.tasks.spawn(presence::work(Arc::clone(app)));
    app.tasks.spawn(plugins::lines::work(Arc::clone(app)));
}
