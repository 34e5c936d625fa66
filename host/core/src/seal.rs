//! Sealing: what the host gives out and takes back, unreadable and unchangeable in between.
//!
//! A [`RootKeys`] set (the operator's secret, and the ones before it) derives one [`KeyRing`] for
//! each [`Scope`]: a tenant, CDX, a relay host. A ring seals with its current key and opens what
//! any of its keys sealed, so that a root is rotated without downtime: in steps, of which each node is at one or at the
//! next, and in which what a node seals opens at all of them.
//!
//! ```text
//! seals with     old        old          new          new
//! also opens      -         new          old           -
//! ```
//!
//! Sealed bytes are
//!
//! ```text
//! format version (1) | key id (4) | nonce (24) | XChaCha20-Poly1305 ciphertext and tag
//! ```
//!
//! with the [`Purpose`] as associated data: a ticket does not open as an alias. Random 192-bit
//! nonces stay safe at any rate. The text form is base64url without padding.

mod ring;

use alloc::vec::Vec;
use core::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use switchhook_protocol::id::{RelayHostId, TenantId};
use zeroize::Zeroizing;

pub use self::ring::KeyRing;

/// The first byte of everything sealed.
pub const FORMAT: u8 = 1;

/// What a sealed thing is for; a thing sealed for one purpose does not open for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A participant's proof of its place in a session (INV-11).
    SessionTicket,
    /// A device, as its peers in one session know it (INV-2).
    Alias,
    /// A participant's connection data on its way to the others, until a direct verdict.
    PeerConnectionData,
    /// An address that CDX saw (NAT-1).
    Observation,
    /// What a client's own exchange with CDX is encrypted under (NAT-2).
    ConnectionKey,
    /// A participant's proof to CDX of whom it may tell (NAT-2).
    ExchangeTicket,
    /// What a relay host demands of a participant (REL-3).
    RelayToken,
    /// A plugin's state between two steps.
    PluginState,
    /// An effect that waits in the outbox.
    Outbox,
    /// What the host must remember of a secret that it made.
    Secret,
    /// What rings a device of a session later.
    Routing,
    /// How a user's ringing goes on.
    Course,
    /// Where a push service reaches a device.
    PushAddress,
    /// What a node tells others.
    Letter,
    /// A password on its way through a method, and whose it is (REG-6).
    Password,
    /// What a device proves a profile or an address by (REG-9).
    Credentials,
}

impl Purpose {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::SessionTicket => b"session-ticket",
            Self::Alias => b"alias",
            Self::PeerConnectionData => b"peer-connection-data",
            Self::Observation => b"observation",
            Self::ConnectionKey => b"connection-key",
            Self::ExchangeTicket => b"exchange-ticket",
            Self::RelayToken => b"relay-token",
            Self::PluginState => b"plugin-state",
            Self::Outbox => b"outbox",
            Self::Secret => b"secret",
            Self::Routing => b"routing",
            Self::Course => b"course",
            Self::PushAddress => b"push-address",
            Self::Letter => b"letter",
            Self::Password => b"password",
            Self::Credentials => b"credentials",
        }
    }
}

/// Whose keys: what one scope sealed does not open in another.
#[derive(Debug, Clone, Copy)]
pub enum Scope<'a> {
    /// One tenant's tickets, aliases, signatures.
    Tenant(&'a TenantId),
    /// Observed addresses; before any login, so of no tenant.
    Cdx,
    /// One relay host's tokens.
    Relay(&'a RelayHostId),
    /// The host's own authentication of its files: compiled artefacts, admin tokens.
    Host,
}

/// Why something sealed does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It is not in the form of this version.
    #[error("not sealed in this format")]
    Format,
    /// No key of the ring has its key id.
    #[error("sealed under an unknown key")]
    UnknownKey,
    /// It was changed, or sealed for something else.
    #[error("does not open: changed, or sealed for something else")]
    Forged,
}

/// The operator's secret keys, the one that seals first.
pub struct RootKeys {
    secrets: Vec<Zeroizing<[u8; 32]>>,
}

impl RootKeys {
    /// Keys of which `current` seals; what the `others`, former ones and the next, sealed opens too.
    pub fn new(current: [u8; 32], others: impl IntoIterator<Item = [u8; 32]>) -> Self {
        Self { secrets: core::iter::once(current).chain(others).map(Zeroizing::new).collect() }
    }

    /// The keys of one scope.
    pub fn ring(&self, scope: Scope<'_>) -> KeyRing {
        KeyRing::derive(self.secrets.iter().map(|secret| &**secret), scope)
    }
}

impl fmt::Debug for RootKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootKeys({})", self.secrets.len())
    }
}

/// HMAC-SHA256 over parts, each preceded by its length as 8 bytes, big-endian.
pub fn hmac_sha256<'a>(key: &[u8], parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return [0; 32];
    };
    for part in parts {
        mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use alloc::{borrow::ToOwned as _, string::String};

    use super::{
        ring::{HEADER, TAG},
        *,
    };
    use crate::testing::TestRng;

    const OLD: [u8; 32] = [1; 32];
    const NEW: [u8; 32] = [2; 32];

    fn tenant(name: &str) -> TenantId {
        name.parse().unwrap()
    }

    #[test]
    fn what_the_previous_key_sealed_opens_after_a_rotation() {
        let before = RootKeys::new(OLD, []).ring(Scope::Tenant(&tenant("acme")));
        let after = RootKeys::new(NEW, [OLD]).ring(Scope::Tenant(&tenant("acme")));
        let sealed = before.seal(Purpose::SessionTicket, &"kept", &mut TestRng(1));
        assert_eq!(after.open::<String>(Purpose::SessionTicket, &sealed), Ok("kept".to_owned()));
        let (id, mac) = before.mac("signature", &[b"x"]);
        assert_eq!(after.mac_of(id, "signature", &[b"x"]), Some(mac));
    }

    #[test]
    fn rel_3_a_relay_hosts_ring_is_the_same_elsewhere() {
        let ring = RootKeys::new(NEW, [OLD]).ring(Scope::Relay(&"relay-1".parse().unwrap()));
        let there = KeyRing::read(&ring.reveal()).unwrap();
        let sealed = ring.seal(Purpose::RelayToken, &"token", &mut TestRng(1));
        assert_eq!(there.open::<String>(Purpose::RelayToken, &sealed), Ok("token".to_owned()));
        let before = RootKeys::new(OLD, []).ring(Scope::Relay(&"relay-1".parse().unwrap()));
        let (id, mac) = before.mac("password", &[b"x"]);
        assert_eq!(there.mac_of(id, "password", &[b"x"]), Some(mac), "and so is the previous key");
        for wrong in ["", "AAAA", "no base64!"] {
            assert_eq!(KeyRing::read(wrong).err(), Some(SealError::Format), "{wrong}");
        }
    }

    #[test]
    fn what_a_forgotten_key_sealed_does_not_open() {
        let before = RootKeys::new(OLD, []).ring(Scope::Cdx);
        let after = RootKeys::new(NEW, []).ring(Scope::Cdx);
        let sealed = before.seal(Purpose::Observation, &7_u8, &mut TestRng(1));
        assert_eq!(after.open::<u8>(Purpose::Observation, &sealed), Err(SealError::UnknownKey));
    }

    #[test]
    fn what_any_node_seals_opens_at_every_other_at_the_same_step_of_a_rotation_or_the_next() {
        let steps = [(OLD, &[][..]), (OLD, &[NEW]), (NEW, &[OLD]), (NEW, &[])];
        let rings = steps.map(|(current, others)| {
            RootKeys::new(current, others.iter().copied()).ring(Scope::Tenant(&tenant("acme")))
        });
        for pair in rings.windows(2) {
            for (one, other) in [(&pair[0], &pair[1]), (&pair[1], &pair[0])] {
                let sealed = one.seal(Purpose::SessionTicket, &"kept", &mut TestRng(1));
                assert_eq!(other.open::<String>(Purpose::SessionTicket, &sealed), Ok("kept".to_owned()));
                let (id, mac) = one.mac("name", &[b"x"]);
                assert_eq!(other.mac_of(id, "name", &[b"x"]), Some(mac));
                assert!(other.macs("name", &[b"x"]).contains(&mac), "by one of its names");
                let beside = |ring: &KeyRing| ring.mac_beside(&sealed, "name", &[b"x"]);
                assert_eq!((beside(one), beside(other)), (Some(mac), Some(mac)));
            }
        }
        let sealed = rings[2].seal(Purpose::SessionTicket, &"kept", &mut TestRng(1));
        assert_eq!(rings[0].mac_beside(&sealed, "name", &[b"x"]), None, "one step too many at once");
    }

    #[test]
    fn everything_sealed_begins_with_format_version_and_key_id() {
        let ring = RootKeys::new(OLD, []).ring(Scope::Cdx);
        let sealed = ring.seal_bytes(Purpose::Observation, b"plain", &mut TestRng(1));
        assert_eq!(sealed[0], FORMAT);
        assert_eq!(sealed[1..5], ring.mac("any", &[]).0);
        assert_eq!(sealed.len(), HEADER + 5 + TAG);
    }

    #[test]
    fn another_tenant_another_purpose_or_a_changed_byte_does_not_open() {
        let roots = RootKeys::new(OLD, []);
        let acme = roots.ring(Scope::Tenant(&tenant("acme")));
        let other = roots.ring(Scope::Tenant(&tenant("other")));
        let sealed = acme.seal_bytes(Purpose::Alias, b"device", &mut TestRng(1));
        assert_eq!(other.open_bytes(Purpose::Alias, &sealed), Err(SealError::UnknownKey));
        assert_eq!(acme.open_bytes(Purpose::SessionTicket, &sealed), Err(SealError::Forged));
        for position in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[position] ^= 1;
            assert!(acme.open_bytes(Purpose::Alias, &changed).is_err(), "byte {position}");
        }
        assert_eq!(acme.open_bytes(Purpose::Alias, &sealed), Ok(b"device".to_vec()));
    }
}
