//! The relay: TURN (RFC 8656, RFC 8016, RFC 6062) over UDP, TCP and TLS (REL-3, REL-4).
//!
//! ```text
//!               ┌───────────── shard, one thread for each core ─────────────┐
//! datagrams ──▶ │ receive a batch ─▶ look up ─▶ gather by flow ─▶ send      │ ──▶ peers
//!               └──────────────────────────▲────────────────────────────────┘
//! streams ────▶ tasks ──▶ inbox ───────────┘
//!               tasks ◀─────────────────────── connections with peers ───────────▶ peers
//! ```
//!
//! - [`shard`] is the loop; everything about one client happens on one shard, in order.
//! - [`relaying`] is what a shard holds; [`forward`] is the path of a packet, one receive, one lookup, one
//!   send: [`datagrams`] takes and gives many in one system call, [`outgoing`] gathers them by flow.
//! - [`binding`] tells anybody where it is seen. [`control`] answers requests, after the [`gate`] has judged who asks; [`allocate`] makes an [`allocation`],
//!   which lets datagrams of its [`peers`] through where the [`filter`] does.
//! - [`mobility`] lets an allocation follow its client to another address, by one of the [`tickets`]; for a client that
//!   moves without one, what it left behind gives way ([`silence`]).
//! - [`host`] is what the shards share: [`quotas`], [`bandwidth`], [`reservations`], and how much
//!   strangers get. Requests need it; a packet only where there is a limit to its bandwidth.
//! - [`streams`] brings clients that come over TCP and TLS; to these [`connections`] gives peers that are reached by TCP.
//!
//! Nonces are computed, not stored ([`challenge`]): strangers cost no memory.

mod allocate;
mod allocation;
mod answer;
mod awaited;
mod bandwidth;
mod binding;
mod challenge;
mod clients;
mod config;
mod connections;
mod control;
mod datagrams;
mod departed;
mod family;
mod filter;
mod forward;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod gate;
mod held;
mod host;
mod inbox;
mod limits;
mod listen;
mod losses;
mod memory;
mod metrics;
mod mobility;
mod outgoing;
mod peers;
mod places;
mod ports;
mod quotas;
mod refusal;
mod relayed;
mod relaying;
mod request;
mod reservations;
mod shard;
mod silence;
mod streams;
mod tickets;
mod transport;
mod wire;

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
};

use switchhook_core::seal::KeyRing;
use switchhook_protocol::time::Timestamp;
use tokio::{net::TcpListener, sync::oneshot};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use crate::{
    bandwidth::Bandwidth,
    config::{ALPN, Ip, RelayConfig, TlsPort},
    metrics::Metrics,
    quotas::{Participant, Quota},
};
use crate::{
    host::Host,
    inbox::{Inbox, Order},
    listen::Sockets,
    places::Places,
    shard::{Prepared, Stop},
    streams::Door,
};

/// Where the time comes from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Why the relay does not start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Allocations are addresses that peers send to: they need one.
    #[error("the relay needs an address of its own, not {0}")]
    Unspecified(IpAddr),
    /// An allocation's address is of one family, inside and outside.
    #[error("address and public address of the relay are of different families")]
    Families,
    /// There is one address of each family.
    #[error("the relay's other address has to be of the other family, not {0}")]
    SameFamily(IpAddr),
    /// The system refuses the socket.
    #[error("cannot listen on {addr}")]
    Socket {
        /// Where it was to listen.
        addr: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The system refuses a thread, or what it waits with.
    #[error("the relay cannot start a thread")]
    Thread(#[source] io::Error),
}

/// A running relay host.
pub struct Relay {
    addr: SocketAddr,
    other_addr: Option<SocketAddr>,
    tls_addr: Option<SocketAddr>,
    host: Arc<Host>,
    inboxes: Arc<[Inbox]>,
    running: Mutex<Option<Running>>,
}

/// Dropped, it ends everything.
struct Running {
    _shards: Vec<Stop>,
    _streams: DropGuard,
}

impl Relay {
    /// Binds the TURN port and serves it. `keys` are the relay host's ([`Scope::Relay`]).
    ///
    /// [`Scope::Relay`]: switchhook_core::seal::Scope::Relay
    #[expect(clippy::unused_async, reason = "it starts tasks: whoever calls it has a runtime")]
    pub async fn bind(config: RelayConfig, keys: KeyRing, clock: Clock) -> Result<Self, BindError> {
        check(&config)?;
        let Sockets { doors, listeners, tls_listeners, port, tls_port } = listen::listen(&config)?;
        let public = config.public_ip.unwrap_or(config.ip);
        let other_addr = config.other_ip.map(|other| SocketAddr::new(other.public(), port));
        let acceptor = config.tls.as_ref().map(|tls| TlsAcceptor::from(Arc::clone(&tls.config)));
        let host = Arc::new(Host::new(config, keys, clock));
        let stop = CancellationToken::new();

        let shards: io::Result<Vec<Prepared>> = doors.into_iter().map(Prepared::new).collect();
        let shards = shards.map_err(BindError::Thread)?;
        let inboxes: Arc<[Inbox]> = shards.iter().map(Prepared::inbox).collect();
        let start = |(number, shard): (usize, Prepared)| {
            shard.start((number, Arc::clone(&inboxes)), Arc::clone(&host), host.tracker.token())
        };
        let stops: io::Result<Vec<Stop>> = shards.into_iter().enumerate().map(start).collect();
        let stops = stops.map_err(BindError::Thread)?;
        let door = Door {
            tls: None,
            places: Arc::new(Places::new()),
            inboxes: Arc::clone(&inboxes),
            numbers: Arc::new(AtomicU64::new(0)),
            host: Arc::clone(&host),
            stop: stop.clone(),
        };
        let plain = listeners.into_iter().map(|listener| (listener, door.clone()));
        let encrypted = Door { tls: acceptor, ..door.clone() };
        let encrypted = tls_listeners.into_iter().map(|listener| (listener, encrypted.clone()));
        for (listener, door) in plain.chain(encrypted) {
            let listener = TcpListener::from_std(listener).map_err(BindError::Thread)?;
            host.tracker.spawn(door.accept_all(listener));
        }
        let running = Mutex::new(Some(Running { _shards: stops, _streams: stop.drop_guard() }));
        let tls_addr = tls_port.map(|port| SocketAddr::new(public, port));
        let addr = SocketAddr::new(public, port);
        Ok(Self { addr, other_addr, tls_addr, host, inboxes, running })
    }

    /// Where clients reach it by datagrams and TCP.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The same of the other family, if it has an address there.
    pub const fn other_addr(&self) -> Option<SocketAddr> {
        self.other_addr
    }

    /// Where clients reach it by TLS, if they do.
    pub const fn tls_addr(&self) -> Option<SocketAddr> {
        self.tls_addr
    }

    /// What is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.host.metrics
    }

    /// Allocations that are held now.
    pub fn allocations(&self) -> usize {
        self.host.quotas.all()
    }

    /// Returns when no allocation is held.
    pub async fn emptied(&self) {
        self.host.quotas.emptied().await;
    }

    /// Who holds allocations now, each once.
    pub fn participants(&self) -> Vec<Participant> {
        self.host.quotas.participants()
    }

    /// Addresses from which other relay hosts relay: clients may have permissions for these (REL-4), and for no
    /// others that were told before.
    pub fn know(&self, relay_hosts: Vec<IpAddr>) {
        self.host.filter.know(relay_hosts);
    }

    /// From now on these are the relay host's keys.
    pub fn renew_keys(&self, keys: KeyRing) {
        self.host.renew_keys(keys);
    }

    /// Drops all allocations of a participant, and takes no token more that it was given before. One that goes from one shard to another meanwhile may be missed: whoever
    /// asks [`Self::participants`] again finds it.
    pub async fn send_away(&self, participant: &Participant) {
        self.host.departed.note(participant, (self.host.clock)());
        for inbox in self.inboxes.iter() {
            let (done, is_done) = oneshot::channel();
            if inbox.give(Order::SendAway(participant.clone(), done)).await.is_ok() {
                // A shard that ends meanwhile has no allocations any more.
                is_done.await.unwrap_or_default();
            }
        }
    }

    /// Drops all allocations, and returns when every socket is closed.
    pub async fn shutdown(&self) {
        drop(self.running.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.host.tracker.close();
        self.host.tracker.wait().await;
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("addr", &self.addr).finish_non_exhaustive()
    }
}

fn check(config: &RelayConfig) -> Result<(), BindError> {
    for ip in config.ips() {
        if let Some(ip) = [ip.bind, ip.public()].into_iter().find(IpAddr::is_unspecified) {
            return Err(BindError::Unspecified(ip));
        }
        if ip.bind.is_ipv4() != ip.public().is_ipv4() {
            return Err(BindError::Families);
        }
    }
    match config.other_ip {
        Some(other) if other.bind.is_ipv4() == config.ip.is_ipv4() => Err(BindError::SameFamily(other.bind)),
        Some(_) | None => Ok(()),
    }
}
