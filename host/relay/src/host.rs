//! What all shards of a relay host share.

use std::{
    hash::RandomState,
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use rand::RngExt as _;
use switchhook_core::{rate::Buckets, seal::KeyRing, subscriber::Subscriber};
use switchhook_protocol::id::RelayHostId;
use tokio::time::Instant;

use crate::{
    Clock, RelayConfig, bandwidth::Meters, family::Family, filter::PeerFilter, limits, metrics::Metrics,
    quotas::Quotas, reservations::Reservations, tickets::Tickets,
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

    /// A socket for an allocation, at a port that others cannot guess (RFC 6056).
    pub(crate) fn bind(&self, family: Family, even: bool) -> Option<std::net::UdpSocket> {
        let inside = self.filter.inside_ip(family)?;
        (0..limits::RELAYED_PORT_TRIES).find_map(|_| self.try_to_bind(inside, even))
    }

    fn try_to_bind(&self, inside: IpAddr, even: bool) -> Option<std::net::UdpSocket> {
        // 0 leaves the choice to the system.
        let port = self.relayed_ports.clone().map_or(0, |ports| rand::rng().random_range(ports));
        let socket = std::net::UdpSocket::bind((inside, port)).ok()?;
        let port = socket.local_addr().ok()?.port();
        (!even || port.is_multiple_of(2)).then_some(socket)
    }

    /// Sockets at an even port and the next one.
    pub(crate) fn bind_pair(&self, family: Family) -> Option<[std::net::UdpSocket; 2]> {
        let inside = self.filter.inside_ip(family)?;
        (0..limits::RELAYED_PORT_TRIES).find_map(|_| {
            let first = self.try_to_bind(inside, true)?;
            let next = first.local_addr().ok()?.port() + 1;
            let may = self.relayed_ports.as_ref().is_none_or(|ports| ports.contains(&next));
            let second = may.then(|| std::net::UdpSocket::bind((inside, next)).ok()).flatten()?;
            Some([first, second])
        })
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
