//! The relay, as clients see it (REL-1 to REL-4).

use alloc::{string::String, vec::Vec};
use core::{fmt, net::SocketAddr};

use serde::{Deserialize, Serialize};

/// What one participant needs for an allocation on its relay host (REL-2).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayCredentials {
    /// The relay host's TURN address (UDP), for clients that know no other way.
    pub server: SocketAddr,
    /// Every way to the relay host, in the order in which to try them (since 0.1.0); empty, [`Self::server`] is all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<RelayServer>,
    /// TURN realm.
    pub realm: String,
    /// TURN username: the relay token, opaque to clients.
    pub username: String,
    /// TURN password.
    pub password: String,
    /// How long they may be used to allocate, in milliseconds.
    pub expires_in_ms: u64,
    /// The family of the address to ask the relay for, the one in which both sides' relay hosts reach each other
    /// (RFC 8656 §7.1); absent, none is asked for, which is IPv4 (since 0.1.0).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<AddressFamily>,
}

/// A family of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddressFamily {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
    /// One that this version does not know: none is asked for.
    #[serde(other)]
    Unknown,
}

impl fmt::Debug for RelayCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelayCredentials").field("server", &self.server).finish_non_exhaustive()
    }
}

/// One way to a relay host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayServer {
    /// How TURN is carried to it.
    pub transport: Transport,
    /// Where.
    pub addr: SocketAddr,
    /// With TLS, the name that its certificate must be for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// How TURN is carried to a relay host (RFC 8656 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// In datagrams.
    Udp,
    /// Over TCP, where no datagram gets out.
    Tcp,
    /// Over TLS, where nothing else does.
    Tls,
    /// One that this version does not know: to be passed over. Where no other is left, the address of the credentials
    /// themselves is tried over UDP.
    #[serde(other)]
    Unknown,
}

/// `relay.request`: give me the relay for this session (NAT-4). Allowed to each participant, without a second ring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayRequest {
    /// The session ticket.
    pub ticket: String,
}

/// Answer to `relay.request`; the other side gets its own by the event `relay-response`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayResponse {
    /// This participant's own credentials.
    pub relay: RelayCredentials,
}

/// `relay.update`: here is where the relay put me; tell the other side (REL-4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayUpdate {
    /// The session ticket.
    pub ticket: String,
    /// The address that the relay gave this participant.
    pub relayed: SocketAddr,
    /// The address that the relay saw it under.
    pub observed: SocketAddr,
}
