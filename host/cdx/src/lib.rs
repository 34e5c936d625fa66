//! CDX on its sockets: two ports around [`switchhook_core::cdx`] (NAT-1, HYB-1).
//!
//! Each port of each address has a task. It waits until its socket is readable, then answers what stands
//! in the queue, up to a batch, before it waits again. Answers are made in a buffer that is kept, and an
//! answer that the socket does not take at once is dropped: its client repeats the request, as STUN
//! clients do (RFC 8489 §6.2.1). What a participant of a session has to tell the others is handed on to where
//! its ticket says (NAT-2). Nothing is remembered of a client but a share of a rate limit, in a table of fixed
//! size.
//!
//! The same ports take streams: standard STUN for clients whose network lets no datagram out. With a
//! second address, clients can find out how their NAT filters, too (RFC 5780).

mod limits;
mod metrics;
mod places;
mod port;
mod stream;

use std::{
    fmt,
    hash::RandomState,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use rand::{CryptoRng, SeedableRng as _, rngs::StdRng};
use switchhook_core::{
    cdx::own::Repeats,
    rate::{Buckets, Rate},
    seal::KeyRing,
};
use switchhook_protocol::time::Timestamp;
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use crate::metrics::Metrics;
use crate::{places::Bound, port::Port, stream::Streams};

/// Where the time comes from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Where CDX listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CdxConfig {
    /// Address that clients are told.
    pub ip: Ip,
    /// A second address of the same family, by which clients discover how their NAT filters (RFC 5780).
    pub other_ip: Option<Ip>,
    /// An address of the other family, with the same ports: what clients of both families are told of, too.
    pub other_family: Option<Ip>,
    /// The two ports of each address; 0 is any free one.
    pub ports: [u16; 2],
    /// What one source (an IPv4 address, an IPv6 network of 64 bits) may ask of each port.
    pub rate: Rate,
}

impl Default for CdxConfig {
    /// Loopback, ports 3479 and 3480.
    fn default() -> Self {
        let ip = Ip { bind: Ipv4Addr::LOCALHOST.into(), public: None };
        Self { ip, other_ip: None, other_family: None, ports: [3479, 3480], rate: limits::ASKED }
    }
}

/// An address of CDX.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ip {
    /// Where to listen.
    pub bind: IpAddr,
    /// Where clients reach it, if that is another one.
    pub public: Option<IpAddr>,
}

impl Ip {
    fn public(self) -> IpAddr {
        self.public.unwrap_or(self.bind)
    }
}

/// Why CDX does not start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// What two ports see of a mapping can be compared, what one port sees twice cannot.
    #[error("CDX needs two different ports, not {0} twice")]
    SamePort(u16),
    /// The same holds for addresses, both where CDX listens and where clients reach it.
    #[error("the other address of CDX has to be another one than {0}")]
    SameIp(IpAddr),
    /// A client can compare what two addresses see only if it reaches both.
    #[error("{0} and {1} are addresses of different families")]
    Families(IpAddr, IpAddr),
    /// The address of the other family is of the same one.
    #[error("{0} and {1} are addresses of one family")]
    SameFamily(IpAddr, IpAddr),
    /// The system refuses a socket.
    #[error("cannot listen on {addr}")]
    Socket {
        /// Where it was to listen.
        addr: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

/// All ports, bound.
pub struct Cdx {
    addrs: [SocketAddr; 2],
    other_family: Option<[SocketAddr; 2]>,
    ports: Vec<Port>,
    streams: Vec<Streams>,
    metrics: Metrics,
}

impl Cdx {
    /// Binds all ports; they answer from [`Self::run`] on. To be called inside a Tokio runtime.
    pub fn bind(
        config: &CdxConfig,
        keys: &KeyRing,
        clock: &Clock,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, BindError> {
        check(config)?;
        let Bound { places, listeners, addrs, other_family } = places::bind(config)?;
        let metrics = Metrics::default();
        let port = |at| Port {
            at,
            keys: keys.clone(),
            clock: Arc::clone(clock),
            rng: StdRng::from_rng(rng),
            limit: rates(config.rate),
            told: rates(limits::TOLD),
            asked: rates(limits::ASKED_IN_SECRET),
            repeats: Repeats::new(limits::REPEATS, RandomState::new()),
            started: Instant::now(),
            metrics: metrics.clone(),
        };
        let ports = places.into_iter().map(port).collect();
        let taken = |listener| Streams {
            listener,
            limit: rates(config.rate),
            started: Instant::now(),
            metrics: metrics.clone(),
        };
        let streams = listeners.into_iter().map(taken).collect();
        Ok(Self { addrs, other_family, ports, streams, metrics })
    }

    /// Where clients reach both ports of the first address.
    pub const fn addrs(&self) -> [SocketAddr; 2] {
        self.addrs
    }

    /// Where clients of the other family reach both ports, if it listens there.
    pub const fn other_family(&self) -> Option<[SocketAddr; 2]> {
        self.other_family
    }

    /// What is counted.
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Answers on all ports, in tasks of the tracker, until told to stop.
    pub fn run(self, tracker: &TaskTracker, stop: &CancellationToken) {
        for port in self.ports {
            tracker.spawn(port.serve(stop.clone()));
        }
        for streams in self.streams {
            tracker.spawn(streams.serve(tracker.clone(), stop.clone()));
        }
    }
}

impl fmt::Debug for Cdx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cdx").field("addrs", &self.addrs).finish_non_exhaustive()
    }
}

/// What each of those who ask has taken of a rate.
fn rates(rate: Rate) -> Buckets<RandomState> {
    Buckets::new(rate, limits::BUCKETS, RandomState::new())
}

fn check(config: &CdxConfig) -> Result<(), BindError> {
    let [a, b] = config.ports;
    if a == b && a != 0 {
        return Err(BindError::SamePort(a));
    }
    let first = config.ip;
    let same_family = [config.other_family.map(|other| other.bind), config.other_family.map(Ip::public)];
    if let Some(same) = same_family.into_iter().flatten().find(|ip| ip.is_ipv4() == first.bind.is_ipv4()) {
        return Err(BindError::SameFamily(first.bind, same));
    }
    let Some(other) = config.other_ip else { return Ok(()) };
    if first.bind == other.bind {
        return Err(BindError::SameIp(first.bind));
    }
    if first.public() == other.public() {
        return Err(BindError::SameIp(first.public()));
    }
    let all = [first.public(), other.bind, other.public()];
    let foreign = all.into_iter().find(|ip| ip.is_ipv4() != first.bind.is_ipv4());
    foreign.map_or(Ok(()), |foreign| Err(BindError::Families(first.bind, foreign)))
}
