//! The other side of a session, as the host shows it.

use alloc::{string::String, vec::Vec};
use core::net::{IpAddr, SocketAddr};

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
        /// What to try beyond these addresses.
        #[serde(default, skip_serializing_if = "Guessing::is_default")]
        guessing: Guessing,
    },
    /// Through a relay host, with credentials of one's own.
    Relay {
        /// For this participant alone.
        relay: RelayCredentials,
        /// It may become direct: as soon as the invited device shows the inviter where it is, by `connection-data`.
        #[serde(default, skip_serializing_if = "core::ops::Not::not")]
        until_accepted: bool,
    },
}

/// What a side may guess where the addresses that it knows lead nowhere, as the tenant's NAT policy says. Packets and time
/// are bounded by the client's own limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Guessing {
    /// Of a NAT that gives out one port after the other, the next ones: the peer is told them, too.
    pub next_ports: bool,
    /// This side's part where ports are guessed at random; nothing of the kind without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub birthday: Option<Birthday>,
}

/// A part in guessing by many sockets and many ports: one of these will be of one of those.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "part", rename_all = "kebab-case")]
pub enum Birthday {
    /// This side's NAT has another port for each socket: open many.
    Sockets {
        /// Where the peer guesses from.
        towards: SocketAddr,
    },
    /// The peer does so: try many ports of its address.
    Ports {
        /// That address.
        of: IpAddr,
    },
}

impl Guessing {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for Guessing {
    /// The next ports: that costs four checks.
    fn default() -> Self {
        Self { next_ports: true, birthday: None }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn a_verdict_says_what_to_guess_only_where_that_is_something_else_than_the_next_ports() {
        let path =
            |guessing| Path::Direct { candidates: vec![], patience_ms: None, exchange: None, guessing };
        let text = serde_json::to_string(&path(Guessing::default())).unwrap();
        assert_eq!(text, r#"{"type":"direct","candidates":[]}"#);
        assert_eq!(serde_json::from_str::<Path>(&text).unwrap(), path(Guessing::default()));

        let birthday = Some(Birthday::Ports { of: "192.0.2.7".parse().unwrap() });
        let text = serde_json::to_string(&path(Guessing { next_ports: false, birthday })).unwrap();
        let expected = r#""guessing":{"next_ports":false,"birthday":{"part":"ports","of":"192.0.2.7"}}"#;
        assert!(text.contains(expected), "{text}");
    }
}
