//! What all shards of a relay host share.

use std::{
    hash::RandomState,
    iter,
    net::{IpAddr, SocketAddr, TcpListener, UdpSocket},
    ops::RangeInclusive,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use rand::RngExt as _;
use switchhook_core::{rate::Buckets, seal::KeyRing, subscriber::Subscriber};
use switchhook_protocol::id::RelayHostId;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::{
    Clock, RelayConfig,
    bandwidth::Meters,
    connections::{self, Connections},
    departed::Departed,
    family::Family,
    filter::PeerFilter,
    limits,
    metrics::Metrics,
    quotas::Quotas,
    reservations::Reservations,
    tickets::Tickets,
    transport::Transport,
};

pub(crate) struct Host {
    pub(crate) name: RelayHostId,
    pub(crate) realm: String,
    keys: RwLock<Arc<KeyRing>>,
    pub(crate) clock: Clock,
    pub(crate) filter: PeerFilter,
    pub(crate) quotas: Arc<Quotas>,
    pub(crate) meters: Meters,
    /// Answers to those who have shown no credentials, by whom they go to: whoever writes a false source address into a
    /// request has its answer sent there.
    strangers: Buckets<RandomState>,
    pub(crate) reservations: Reservations,
    pub(crate) departed: Departed,
    pub(crate) connections: Connections,
    /// What runs in tasks: streams, and connections that are about to be.
    pub(crate) tracker: TaskTracker,
    /// Whether allocations follow their clients.
    pub(crate) mobility: bool,
    pub(crate) tickets: Arc<Tickets>,
    pub(crate) metrics: Metrics,
    relayed_ports: Option<RangeInclusive<u16>>,
    started: Instant,
}

impl Host {
    pub(crate) fn new(config: RelayConfig, keys: KeyRing, clock: Clock) -> Self {
        let metrics = Metrics::default();
        Self {
            filter: PeerFilter::new(config.peers.clone(), config.ips()),
            name: config.host,
            realm: config.realm,
            keys: RwLock::new(Arc::new(keys)),
            clock,
            quotas: Arc::new(Quotas::new(config.quota, metrics.clone())),
            meters: Meters::new(config.bandwidth),
            strangers: Buckets::new(config.strangers, limits::STRANGERS, RandomState::new()),
            reservations: Reservations::default(),
            departed: Departed::default(),
            connections: Connections::new(config.tcp_allocations, metrics.clone()),
            tracker: TaskTracker::new(),
            mobility: config.mobility,
            tickets: Arc::default(),
            metrics,
            relayed_ports: config.relayed_ports,
            started: Instant::now(),
        }
    }

    /// What tokens and nonces are made with; read by requests alone, never by a relayed packet.
    pub(crate) fn keys(&self) -> Arc<KeyRing> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The same from now on with these keys.
    pub(crate) fn renew_keys(&self, keys: KeyRing) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }

    /// How long the relay runs.
    pub(crate) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }

    /// A socket for an allocation, at a port that others cannot guess (RFC 6056), as long as many are left.
    pub(crate) fn bind(&self, family: Family, even: bool) -> Option<UdpSocket> {
        let inside = self.filter.inside_ip(family)?;
        self.tried(family, Transport::Udp).find_map(|port| try_to_bind(inside, port, even))
    }

    /// A listener for an allocation of TCP, at such a port.
    pub(crate) fn listen(&self, family: Family) -> Option<TcpListener> {
        let inside = self.filter.inside_ip(family)?;
        let listen = |port| connections::listen(SocketAddr::new(inside, port)).ok();
        self.tried(family, Transport::Tcp).find_map(listen)
    }

    /// Sockets at an even port and the next one.
    pub(crate) fn bind_pair(&self, family: Family) -> Option<[UdpSocket; 2]> {
        let inside = self.filter.inside_ip(family)?;
        self.tried(family, Transport::Udp).find_map(|port| {
            let first = try_to_bind(inside, port, true)?;
            let next = first.local_addr().ok()?.port() + 1;
            let may = self.relayed_ports.as_ref().is_none_or(|ports| ports.contains(&next));
            let second = may.then(|| UdpSocket::bind((inside, next)).ok()).flatten()?;
            Some([first, second])
        })
    }

    /// Ports to try for an allocation: some at random, 0 where the system chooses; then all of the range that no
    /// allocation has, so that a client is refused only where none is left.
    fn tried(&self, family: Family, transport: Transport) -> impl Iterator<Item = u16> {
        let range = self.relayed_ports.clone();
        let draw = move || range.clone().map_or(0, |ports| rand::rng().random_range(ports));
        let drawn = iter::repeat_with(draw).take(limits::RELAYED_PORT_TRIES);
        drawn.chain(iter::once_with(move || self.left(family, transport)).flatten())
    }

    /// What is left of the range, from anywhere in it on.
    fn left(&self, family: Family, transport: Transport) -> impl Iterator<Item = u16> {
        let given_out = self.filter.ports(family, transport);
        let walk = self.relayed_ports.clone().map(|ports| {
            let middle = rand::rng().random_range(ports.clone());
            (middle..=*ports.end()).chain(*ports.start()..middle)
        });
        walk.into_iter().flatten().filter(move |port| given_out.is_none_or(|ports| !ports.has(*port)))
    }

    /// Whether a source is answered that has shown no credentials.
    pub(crate) fn may_answer(&self, source: IpAddr, now: Instant) -> bool {
        let may = self.strangers.take(Subscriber::from(source), self.age(now));
        if !may {
            self.metrics.strangers_refused.inc();
        }
        may
    }

    /// The address under which peers reach a socket of an allocation.
    pub(crate) fn public(&self, bound: SocketAddr) -> SocketAddr {
        let public = self.filter.public_ip(Family::of(bound.ip())).unwrap_or_else(|| bound.ip());
        SocketAddr::new(public, bound.port())
    }
}

/// A socket at this port, if it is free and even where that is wanted.
fn try_to_bind(inside: IpAddr, port: u16, even: bool) -> Option<UdpSocket> {
    let socket = UdpSocket::bind((inside, port)).ok()?;
    let port = socket.local_addr().ok()?.port();
    (!even || port.is_multiple_of(2)).then_some(socket)
}
