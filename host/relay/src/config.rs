//! A relay host's settings.

use std::{
    net::{IpAddr, Ipv4Addr},
    ops::RangeInclusive,
    sync::Arc,
    thread,
};

use switchhook_core::{rate::Rate, relay_peers::PeerPolicy};
use switchhook_protocol::id::RelayHostId;

use crate::{bandwidth::Bandwidth, quotas::Quota};

/// A relay host's settings.
#[derive(Debug, Clone)]
pub struct RelayConfig {
    /// Whose tokens it takes.
    pub host: RelayHostId,
    /// Address of the TURN port, for UDP and TCP, and of allocations.
    pub ip: IpAddr,
    /// TURN port; 0 is any free one.
    pub port: u16,
    /// Address under which clients and peers reach [`Self::ip`], if it is another one.
    pub public_ip: Option<IpAddr>,
    /// The same of the other family: allocations then have addresses of either, or of both.
    pub other_ip: Option<Ip>,
    /// TURN over TLS, on a port of its own.
    pub tls: Option<TlsPort>,
    /// Ports of allocations; without a range, the system's choice.
    pub relayed_ports: Option<RangeInclusive<u16>>,
    /// TURN realm.
    pub realm: String,
    /// Whom clients may send to.
    pub peers: PeerPolicy,
    /// How many allocations there may be.
    pub quota: Quota,
    /// How much may be relayed.
    pub bandwidth: Bandwidth,
    /// Whether allocations follow their clients to other addresses, if these ask for it (RFC 8016).
    pub mobility: bool,
    /// Whether clients that come over TCP or TLS may have allocations of TCP, and the relay connects to peers (RFC 6062).
    pub tcp_allocations: bool,
    /// Answers that one source gets before it has shown credentials, STUN's among them.
    pub strangers: Rate,
    /// Threads that relay; each takes a core when there is much to do.
    pub shards: usize,
}

/// An address of the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ip {
    /// Where to listen.
    pub bind: IpAddr,
    /// Where clients and peers reach it, if that is another one.
    pub public: Option<IpAddr>,
}

/// TURN over TLS (RFC 8656 §3.1, `turns`).
#[derive(Debug, Clone)]
pub struct TlsPort {
    /// 5349 as a rule; 0 is any free one.
    pub port: u16,
    /// Certificate and protocols; clients that name a protocol name [`ALPN`].
    pub config: Arc<rustls::ServerConfig>,
}

/// TURN in the handshake of TLS (RFC 7443).
pub const ALPN: &[u8] = b"stun.turn";

impl Ip {
    pub(crate) fn public(self) -> IpAddr {
        self.public.unwrap_or(self.bind)
    }
}

impl RelayConfig {
    /// A relay host on loopback, port 3478.
    pub fn new(host: RelayHostId) -> Self {
        Self {
            host,
            ip: Ipv4Addr::LOCALHOST.into(),
            port: 3478,
            public_ip: None,
            other_ip: None,
            tls: None,
            relayed_ports: None,
            realm: "switchhook".to_owned(),
            peers: PeerPolicy::default(),
            quota: Quota::default(),
            bandwidth: Bandwidth::default(),
            mobility: true,
            // No client of ours needs them, and they reach what listens by TCP anywhere.
            tcp_allocations: false,
            // Room for some hundred devices that come back at once behind one NAT.
            strangers: Rate { burst: 1_000, per_second: 200 },
            shards: thread::available_parallelism().map_or(1, usize::from),
        }
    }

    /// All addresses.
    pub(crate) fn ips(&self) -> impl Iterator<Item = Ip> + use<> {
        [Ip { bind: self.ip, public: self.public_ip }].into_iter().chain(self.other_ip)
    }
}
