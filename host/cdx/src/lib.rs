//! CDX over UDP: two sockets around [`switchhook_core::cdx`] (NAT-1, HYB-1).
//!
//! Each port has one task. It waits until its socket is readable, then answers what stands in the
//! queue, up to a batch, before it waits again. Answers are made in a buffer that is kept, and an
//! answer that the socket does not take at once is dropped: its client repeats the request, as STUN
//! clients do (RFC 8489 §6.2.1). Nothing is remembered of a client but a share of a rate limit,
//! in a table of fixed size.

mod metrics;
mod port;
mod rate;

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use rand::{CryptoRng, SeedableRng as _, rngs::StdRng};
use switchhook_core::seal::KeyRing;
use switchhook_protocol::time::Timestamp;
use tokio::net::UdpSocket;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use crate::{metrics::Metrics, rate::Rate};
use crate::{port::Port, rate::RateLimit};

/// Where the time comes from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Where CDX listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CdxConfig {
    /// Address of both sockets.
    pub ip: IpAddr,
    /// Their ports; 0 is any free one.
    pub ports: [u16; 2],
    /// Address under which clients reach them, if it is another one.
    pub public_ip: Option<IpAddr>,
    /// What one source (an IPv4 address, an IPv6 network of 64 bits) may ask of each port.
    pub rate: Rate,
}

impl Default for CdxConfig {
    /// Loopback, ports 3479 and 3480.
    fn default() -> Self {
        Self { ip: Ipv4Addr::LOCALHOST.into(), ports: [3479, 3480], public_ip: None, rate: Rate::default() }
    }
}

/// Why CDX does not start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// What two ports see of a mapping can be compared, what one port sees twice cannot.
    #[error("CDX needs two different ports, not {0} twice")]
    SamePort(u16),
    /// The system refuses a socket.
    #[error("cannot listen on {addr}")]
    Socket {
        /// Where it was to listen.
        addr: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

/// Both ports, bound.
pub struct Cdx {
    addrs: [SocketAddr; 2],
    ports: [Port; 2],
    metrics: Metrics,
}

impl Cdx {
    /// Binds both ports; they answer from [`Self::run`] on.
    pub async fn bind(
        config: &CdxConfig,
        keys: KeyRing,
        clock: Clock,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, BindError> {
        let [a, b] = config.ports;
        if a == b && a != 0 {
            return Err(BindError::SamePort(a));
        }
        let metrics = Metrics::default();
        let [a, b] = [listen(config.ip, a).await?, listen(config.ip, b).await?];
        let addrs =
            [&a, &b].map(|(_, local)| SocketAddr::new(config.public_ip.unwrap_or(config.ip), local.port()));
        let mut port = |socket, addr| Port {
            socket,
            addr,
            keys: keys.clone(),
            clock: Arc::clone(&clock),
            rng: StdRng::from_rng(rng),
            limit: RateLimit::new(config.rate),
            metrics: metrics.clone(),
        };
        let [first, second] = addrs;
        Ok(Self { addrs, ports: [port(a.0, first), port(b.0, second)], metrics })
    }

    /// Where clients reach both ports.
    pub const fn addrs(&self) -> [SocketAddr; 2] {
        self.addrs
    }

    /// What is counted.
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Answers on both ports, in tasks of the tracker, until told to stop.
    pub fn run(self, tracker: &TaskTracker, stop: &CancellationToken) {
        for port in self.ports {
            tracker.spawn(port.serve(stop.clone()));
        }
    }
}

impl fmt::Debug for Cdx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cdx").field("addrs", &self.addrs).finish_non_exhaustive()
    }
}

async fn listen(ip: IpAddr, port: u16) -> Result<(UdpSocket, SocketAddr), BindError> {
    let addr = SocketAddr::new(ip, port);
    let failed = |source| BindError::Socket { addr, source };
    let socket = UdpSocket::bind(addr).await.map_err(failed)?;
    let local = socket.local_addr().map_err(failed)?;
    Ok((socket, local))
}
