//! The relay, as clients see it (REL-1 to REL-4).

use alloc::string::String;
use core::{fmt, net::SocketAddr};

use serde::{Deserialize, Serialize};

/// What one participant needs for an allocation on its relay host.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayCredentials {
    /// The relay host's TURN address (UDP).
    pub server: SocketAddr,
    /// TURN realm.
    pub realm: String,
    /// TURN username: the relay token, opaque to clients.
    pub username: String,
    /// TURN password.
    pub password: String,
    /// How long they may be used to allocate, in milliseconds.
    pub expires_in_ms: u64,
}

impl fmt::Debug for RelayCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelayCredentials").field("server", &self.server).finish_non_exhaustive()
    }
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
