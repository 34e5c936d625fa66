//! What a server is made of, each from its settings.

use std::{fs, io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use prometheus_client::registry::Registry;
use rand::{SeedableRng as _, rngs::StdRng};
use switchhook_bus::Bus;
use switchhook_cdx::{Cdx, CdxConfig, Ip};
use switchhook_core::{mint, rate::Rate, relay_peers::PeerPolicy, seal::KeyRing};
use switchhook_delivery::{GatewayPeers, MailSender, Outbound, SmsSender};
use switchhook_plugin_runtime::{ArtefactSettings, Compiler, Runtime, RuntimeSettings, Slots};
use switchhook_protocol::{
    id::RelayHostId,
    server::{CdxAddresses, CdxPorts},
    time::Timestamp,
};
use switchhook_relay::{Bandwidth, Quota, Relay, RelayConfig, TlsPort};
use switchhook_storage::{Clock, Database, OpenError, Storage};
use tracing::info;

use super::{DATABASE, StartError};
use crate::{
    clock,
    keys::Keys,
    limits,
    listen::{Listener, tls::Tls},
    metrics::Metrics,
    nodes::{Me, neighbours::Neighbours, others::Others},
    plugins::Plugins,
    sandbox,
    settings::{self, Settings},
};

/// Makes a folder for secrets, its owner's alone.
pub(crate) fn folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Connects to the bus, if there is one.
pub(super) async fn bus(settings: &Settings, storage: &Storage) -> Result<Option<Bus>, StartError> {
    let Some(url) = &settings.bus else { return Ok(None) };
    if !storage.is_shared() {
        return Err(StartError::BusAlone);
    }
    Ok(Some(Bus::connect(url.reveal()).await?))
}

/// This node, and its way to the others.
pub(super) fn node(
    settings: &Settings,
    bound: SocketAddr,
    bus: Option<Bus>,
    keys: &Keys,
    metrics: &Metrics,
) -> (Me, Others) {
    let scheme = if settings.tls.is_some() { "wss" } else { "ws" };
    let me = Me {
        id: mint::node(&mut rand::rng()),
        address: settings.http.public_url.clone().map_or_else(|| format!("{scheme}://{bound}"), String::from),
        started_at: clock::now(),
        neighbours: Neighbours::new(settings.http.public_url.is_some()),
    };
    let others = Others::new(bus, me.id.clone(), keys.host(), metrics.foreign_letters.clone());
    (me, others)
}

/// Opens the database of an installation.
pub(crate) async fn storage(settings: &Settings, clock: fn() -> Timestamp) -> Result<Storage, OpenError> {
    let database = match &settings.database {
        Some(url) => Database::Postgres { url: url.reveal().to_owned() },
        None => Database::Sqlite { path: settings.data.join(DATABASE) },
    };
    let how = switchhook_storage::Settings::new(database, Clock::new(clock));
    let allow_lossy_database = settings.allow_lossy_database;
    Storage::open(switchhook_storage::Settings { allow_lossy_database, ..how }).await
}

/// The runtime of the plugins, with what it has compiled before.
pub(super) fn plugins(
    settings: &Settings,
    keys: &KeyRing,
    registry: &mut Registry,
) -> Result<Plugins, StartError> {
    let keys = keys.macs("artefacts", &[]);
    let artefacts =
        Some(ArtefactSettings { folder: settings.data.join("plugins"), keys, most: limits::COMPILED });
    let compiler = settings.compiler.clone().map_or(Compiler::Here, Compiler::Process);
    let (deadlines, engine) = (settings.deadlines, settings.engine);
    let how = RuntimeSettings { artefacts, compiler, deadlines, engine };
    let runtime = Runtime::new(how)?;
    let metrics = switchhook_plugin_runtime::Metrics::default();
    metrics.register(registry);
    Ok(Plugins::new(runtime.clone(), Slots::new(runtime, metrics)))
}

/// The way to tenants' services.
pub(super) fn outbound(settings: &settings::Plugins) -> Result<Outbound, StartError> {
    let peers = PeerPolicy { allow_loopback: settings.allow_loopback, ..PeerPolicy::default() };
    Outbound::new(peers).map_err(|error| StartError::Outbound(error.to_string()))
}

/// What sends texts, and where tenants' gateways may be; the sandbox is the host's own program.
pub(super) fn texts(settings: &settings::Gateways) -> Result<(SmsSender, GatewayPeers), StartError> {
    let settings::Gateways { allow_loopback, allow, authorities } = settings.clone();
    let peers = PeerPolicy { allow_loopback, allowed: allow, ..PeerPolicy::default() };
    let mut peers = GatewayPeers::new(peers, Some(sandbox::addresses()));
    if let Some(path) = authorities {
        let wrong = |why| StartError::GatewayAuthorities(path.clone(), why);
        let authorities = fs::read(&path).map_err(|error| wrong(error.into()))?;
        peers = peers.vouched_for(&authorities).map_err(|error| wrong(error.into()))?;
    }
    let sender = SmsSender::new(peers.clone()).map_err(|error| StartError::Texts(error.to_string()))?;
    Ok((sender, peers))
}

/// Sends mails, also by servers for whom the operator's authorities vouch.
pub(super) fn mails(settings: &settings::Mail, peers: GatewayPeers) -> Result<MailSender, StartError> {
    let taken_within = Duration::from_secs(settings.taken_within_s.max(1).into());
    let Some(path) = &settings.authorities else {
        let sender = MailSender::new(peers, None).map_err(|why| StartError::Setup(why.to_string()))?;
        return Ok(sender.taken_within(taken_within));
    };
    let wrong = |why| StartError::MailAuthorities(path.clone(), why);
    let authorities = fs::read(path).map_err(|error| wrong(error.into()))?;
    let sender = MailSender::new(peers, Some(&authorities)).map_err(|error| wrong(error.into()))?;
    Ok(sender.taken_within(taken_within))
}

/// Binds the port of HTTP and WebSocket.
pub(super) async fn listener(settings: &Settings) -> Result<Listener, StartError> {
    let tls = match &settings.tls {
        Some(files) => Some(Arc::new(Tls::new(files).await?)),
        None => None,
    };
    let addr = settings.http.listen;
    Listener::bind(addr, tls).await.map_err(|error| StartError::Listen(addr, error))
}

/// What clients are told of it.
pub(super) fn cdx_addresses(cdx: &Cdx) -> CdxAddresses {
    let [primary, secondary] = cdx.addrs();
    let other_family = cdx.other_family().map(|[primary, secondary]| CdxPorts { primary, secondary });
    CdxAddresses { primary, secondary, other_family }
}

/// Binds CDX.
pub(super) fn cdx(settings: &settings::Cdx, keys: &KeyRing) -> Result<Cdx, switchhook_cdx::BindError> {
    let config = CdxConfig {
        ip: Ip { bind: settings.ip, public: settings.public_ip },
        other_ip: settings.other_ip.map(|bind| Ip { bind, public: settings.other_public_ip }),
        other_family: settings
            .other_family_ip
            .map(|bind| Ip { bind, public: settings.other_family_public_ip }),
        ports: settings.ports,
        ..CdxConfig::default()
    };
    let mut rng = StdRng::from_rng(&mut rand::rng());
    let clock: switchhook_cdx::Clock = Arc::new(clock::now);
    Cdx::bind(&config, keys, &clock, &mut rng)
}

/// Binds a relay host; over TLS it shows the certificate of the HTTP port.
pub(crate) async fn relay(
    settings: &settings::Relay,
    host: &RelayHostId,
    (keys, realm): (KeyRing, &str),
    tls: Option<Arc<Tls>>,
) -> Result<Relay, StartError> {
    let tls = match (settings.tls_port, tls) {
        (None, _) => None,
        (Some(_), None) => return Err(StartError::RelayWithoutCertificate),
        (Some(port), Some(tls)) => Some(TlsPort { port, config: tls.for_protocol(switchhook_relay::ALPN)? }),
    };
    let rate = |per_second| Rate { per_second, burst: per_second };
    let peers = PeerPolicy {
        allow_loopback: settings.allow_loopback,
        allowed: settings.allow.clone(),
        refused: settings.refuse.clone(),
    };
    peers.check().map_err(|why| StartError::Setup(format!("`relay.allow` in the settings: {why}")))?;
    let config = RelayConfig {
        ip: settings.listen.ip(),
        port: settings.listen.port(),
        public_ip: settings.public_ip,
        other_ip: settings
            .other_ip
            .map(|bind| switchhook_relay::Ip { bind, public: settings.other_public_ip }),
        tls,
        quota: Quota {
            all: settings.allocations,
            each_tenant: settings.allocations_of_tenant,
            ..Quota::default()
        },
        bandwidth: Bandwidth {
            each_session: rate(settings.bytes_per_second_of_session),
            each_tenant: rate(settings.bytes_per_second_of_tenant),
        },
        mobility: settings.mobility,
        tcp_allocations: settings.tcp_allocations,
        realm: realm.to_owned(),
        peers,
        relayed_ports: settings.ports.as_ref().map(settings::PortRange::ports),
        ..RelayConfig::new(host.clone())
    };
    let relay = Relay::bind(config, keys, Arc::new(clock::now)).await?;
    if let Some(addr) = relay.tls_addr() {
        info!(%addr, "TURN over TLS");
    }
    Ok(relay)
}
