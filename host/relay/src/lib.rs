//! The relay: TURN (RFC 8656) over UDP and TCP around the crate `turn` (REL-3, REL-4).
//!
//! The crate keeps allocations, permissions and channels, and moves the data. Whatever is policy
//! stands before and behind it:
//!
//! ```text
//! client ──▶ Front ── Gate ──▶ turn::Server ──▶ RelayedSocket ──▶ peer
//! ```
//!
//! - [`clients`] come by datagrams, or by [`streams`]; for each way there is one front.
//! - The [`front`] is the socket that the crate reads. Data passes it by; each request is judged by the
//!   [`gate`], which refuses it there and then with the right TURN error, or hands it to the crate
//!   signed anew: with a nonce of the crate's and a lifetime within the relay token's.
//! - A [`relayed`] socket lets nothing through to, or from, peers that the operator's rules refuse;
//!   TURN's own permissions know addresses but no ports and no rules.
//! - The [`table`] says who holds which allocation; entries leave it when their socket does.
//!
//! Nonces are computed, not stored ([`challenge`]): strangers cost no memory.

mod challenge;
mod clients;
mod front;
mod gate;
mod limits;
mod metrics;
mod open;
mod refusal;
mod relayed;
mod request;
mod streams;
mod table;
mod wire;

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    ops::RangeInclusive,
    sync::Arc,
};

use switchhook_core::{relay_peers::PeerPolicy, relay_token, seal::KeyRing};
use switchhook_protocol::{id::RelayHostId, time::Timestamp};
use tokio::net::{TcpListener, UdpSocket};
use tokio_util::task::TaskTracker;
use turn::{
    auth::AuthHandler,
    server::{
        Server,
        config::{ConnConfig, ServerConfig},
    },
};

use crate::{
    clients::{Clients, Transport},
    front::Front,
    gate::Gate,
    relayed::{PeerFilter, RelayedSockets},
    streams::Streams,
    table::Table,
};
pub use crate::{metrics::Metrics, table::Participant};

/// Where the time comes from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A relay host's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayConfig {
    /// Whose tokens it takes.
    pub host: RelayHostId,
    /// Address of the TURN port, for UDP and TCP, and of every allocation.
    pub ip: IpAddr,
    /// TURN port; 0 is any free one.
    pub port: u16,
    /// Address under which clients and peers reach [`Self::ip`], if it is another one.
    pub public_ip: Option<IpAddr>,
    /// Ports of allocations; without a range, the system's choice.
    pub relayed_ports: Option<RangeInclusive<u16>>,
    /// TURN realm.
    pub realm: String,
    /// Whom clients may send to.
    pub peers: PeerPolicy,
    /// Allocations that one participant of one session may hold.
    ///
    /// Two: a client that changes networks allocates anew before the old allocation is over.
    pub allocations_per_participant: usize,
    /// Allocations of all.
    pub max_allocations: usize,
}

impl RelayConfig {
    /// A relay host on loopback, port 3478.
    pub fn new(host: RelayHostId) -> Self {
        Self {
            host,
            ip: Ipv4Addr::LOCALHOST.into(),
            port: 3478,
            public_ip: None,
            relayed_ports: None,
            realm: "switchhook".to_owned(),
            peers: PeerPolicy::default(),
            allocations_per_participant: 2,
            max_allocations: 10_000,
        }
    }

    fn public_ip(&self) -> IpAddr {
        self.public_ip.unwrap_or(self.ip)
    }
}

/// Why the relay does not start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Allocations are addresses that peers send to: they need one.
    #[error("the relay needs an address of its own, not {0}")]
    Unspecified(IpAddr),
    /// An allocation's address is of one family, inside and outside.
    #[error("address and public address of the relay are of different families")]
    Families,
    /// The system refuses the socket.
    #[error("cannot listen on {addr}")]
    Socket {
        /// Where it was to listen.
        addr: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The crate `turn` refuses its configuration.
    #[error("TURN does not start: {0}")]
    Turn(turn::Error),
}

/// A running relay host.
pub struct Relay {
    addr: SocketAddr,
    server: Server,
    table: Arc<Table>,
    metrics: Metrics,
    tracker: TaskTracker,
}

impl Relay {
    /// Binds the TURN port and serves it. `keys` are the relay host's ([`Scope::Relay`]).
    ///
    /// [`Scope::Relay`]: switchhook_core::seal::Scope::Relay
    pub async fn bind(config: RelayConfig, keys: KeyRing, clock: Clock) -> Result<Self, BindError> {
        check(&config)?;
        let (datagrams, listener) = listen(&config).await?;
        let failed = |source| BindError::Socket { addr: SocketAddr::new(config.ip, config.port), source };
        let port = datagrams.local_addr().map_err(failed)?.port();

        let metrics = Metrics::default();
        let table = Arc::new(Table::new(metrics.clone()));
        let tracker = TaskTracker::new();
        let streams =
            Streams::accept(listener, Arc::clone(&table), metrics.clone(), &tracker).map_err(failed)?;
        let addr = SocketAddr::new(config.public_ip(), port);
        let ways =
            Ways { config: &config, keys: &keys, clock, table: &table, metrics: &metrics, tracker: &tracker };
        let server = Server::new(ServerConfig {
            conn_configs: vec![ways.by(Transport::Udp, datagrams), ways.by(Transport::Tcp, streams)],
            realm: config.realm.clone(),
            auth_handler: Arc::new(KeyOf { keys: keys.clone() }),
            channel_bind_timeout: limits::CHANNEL_LIFE,
            alloc_close_notify: None,
        });
        let server = server.await.map_err(BindError::Turn)?;
        Ok(Self { addr, server, table, metrics, tracker })
    }

    /// Where clients reach it.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What is counted.
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Allocations that are held now.
    pub fn allocations(&self) -> usize {
        self.table.len()
    }

    /// Who holds allocations now, each once.
    pub fn participants(&self) -> Vec<Participant> {
        self.table.participants()
    }

    /// Drops all allocations of a participant.
    pub async fn send_away(&self, participant: &Participant) {
        for username in self.table.usernames_of(participant) {
            if let Err(error) = self.server.delete_allocations_by_username(username).await {
                tracing::warn!(
                    tenant.id = %participant.tenant, session.id = %participant.session, %error,
                    "allocations of who has left stay until they expire"
                );
            }
        }
    }

    /// Drops all allocations, and returns when every socket is closed.
    pub async fn shutdown(&self) {
        if let Err(error) = self.server.close().await {
            tracing::warn!(%error, "TURN does not close");
            return;
        }
        self.tracker.close();
        self.tracker.wait().await;
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("addr", &self.addr).finish_non_exhaustive()
    }
}

/// What every way that clients come by has in common.
struct Ways<'a> {
    config: &'a RelayConfig,
    keys: &'a KeyRing,
    clock: Clock,
    table: &'a Arc<Table>,
    metrics: &'a Metrics,
    tracker: &'a TaskTracker,
}

impl Ways<'_> {
    /// What the crate needs of one of them.
    fn by(&self, transport: Transport, clients: impl Clients) -> ConnConfig {
        let Self { config, keys, clock, table, metrics, tracker } = self;
        let filter = PeerFilter::new(config, Arc::clone(table));
        let sockets =
            RelayedSockets::new(config, transport, filter.clone(), (*metrics).clone(), (*tracker).clone());
        let gate = Gate {
            transport,
            config: (*config).clone(),
            keys: (*keys).clone(),
            clock: Arc::clone(clock),
            table: Arc::clone(table),
            filter,
            metrics: (*metrics).clone(),
        };
        let front = Front::new(clients, gate, tracker.token());
        ConnConfig { conn: Arc::new(front), relay_addr_generator: Box::new(sockets) }
    }
}

/// One port, for datagrams and for streams.
async fn listen(config: &RelayConfig) -> Result<(UdpSocket, TcpListener), BindError> {
    let mut tries = if config.port == 0 { limits::PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        match try_to_listen(config.ip, config.port).await {
            Err(error) if tries > 0 && error.kind() == io::ErrorKind::AddrInUse => {}
            bound => {
                let failed =
                    |source| BindError::Socket { addr: SocketAddr::new(config.ip, config.port), source };
                return bound.map_err(failed);
            }
        }
    }
}

async fn try_to_listen(ip: IpAddr, port: u16) -> io::Result<(UdpSocket, TcpListener)> {
    let datagrams = UdpSocket::bind((ip, port)).await?;
    let port = datagrams.local_addr()?.port();
    Ok((datagrams, TcpListener::bind((ip, port)).await?))
}

fn check(config: &RelayConfig) -> Result<(), BindError> {
    let public_ip = config.public_ip();
    for ip in [config.ip, public_ip] {
        if ip.is_unspecified() {
            return Err(BindError::Unspecified(ip));
        }
    }
    if config.ip.is_ipv4() != public_ip.is_ipv4() {
        return Err(BindError::Families);
    }
    Ok(())
}

/// Gives the crate the key of a request that the gate has let through.
struct KeyOf {
    keys: KeyRing,
}

impl AuthHandler for KeyOf {
    fn auth_handle(&self, username: &str, realm: &str, _: SocketAddr) -> Result<Vec<u8>, turn::Error> {
        let password = relay_token::password_of(&self.keys, username).ok_or(turn::Error::ErrNoSuchUser)?;
        Ok(turn::auth::generate_auth_key(username, realm, &password))
    }
}
