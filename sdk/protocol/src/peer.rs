//! The other side of a session, as the host shows it.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::{
    connection_data::Candidate,
    device_key::{DeviceKey, KeyBytes},
    endpoint::EndpointId,
    exchange::Exchange,
    relay::RelayCredentials,
};

/// A key for the datagrams of one session, signed by the device key
/// ([`Statement::SessionKey`](crate::device_key::Statement::SessionKey)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionKey {
    /// X25519 public key, 32 bytes.
    pub public: KeyBytes,
    /// Signature by the device key.
    pub signature: KeyBytes,
}

/// A participant, as the others know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Sealed; stands for its push token in this session (INV-2).
    pub alias: String,
    /// The identifier by which it takes part.
    pub endpoint: EndpointId,
    /// The device key that signed its session key; compare it with what you saw before.
    pub device_key: DeviceKey,
    /// Its key for this session's datagrams.
    pub session_key: SessionKey,
}

/// How the two sides reach each other (NAT-3, INV-5, REL-2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Path {
    /// Directly, at these addresses of the peer.
    Direct {
        /// Where the peer may be reached.
        candidates: Vec<Candidate>,
        /// How long to try before asking for the relay, in milliseconds; without it, the client's default.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        patience_ms: Option<u32>,
        /// The way to tell the peer more, through CDX; none if CDX has not seen both sides.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exchange: Option<Exchange>,
    },
    /// Through a relay host, with credentials of one's own.
    Relay {
        /// For this participant alone.
        relay: RelayCredentials,
    },
}
