//! Sealing: what the host gives out and takes back, unreadable and unchangeable in between.
//!
//! A [`RootKeys`] set (the operator's secret, and the ones before it) derives one [`KeyRing`] for
//! each [`Scope`]: a tenant, CDX, a relay host. A ring seals with its current key and opens what
//! any of its keys sealed, so that a root is rotated without downtime.
//!
//! Sealed bytes are
//!
//! ```text
//! format version (1) | key id (4) | nonce (24) | XChaCha20-Poly1305 ciphertext and tag
//! ```
//!
//! with the [`Purpose`] as associated data: a ticket does not open as an alias. Random 192-bit
//! nonces stay safe at any rate. The text form is base64url without padding.

use alloc::{string::String, vec::Vec};
use core::fmt;

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use data_encoding::BASE64URL_NOPAD;
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use rand_core::CryptoRng;
use serde::{Serialize, de::DeserializeOwned};
use sha2::Sha256;
use switchhook_protocol::id::{RelayHostId, TenantId};
use zeroize::Zeroizing;

/// The first byte of everything sealed.
pub const FORMAT: u8 = 1;

const KEY_ID: usize = 4;
const NONCE: usize = 24;
const HEADER: usize = 1 + KEY_ID + NONCE;
const TAG: usize = 16;
/// A key of a ring: its id, and two secrets.
const KEY: usize = KEY_ID + 32 + 32;

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

/// The operator's secret keys, the current one first.
pub struct RootKeys {
    secrets: Vec<Zeroizing<[u8; 32]>>,
}

impl RootKeys {
    /// Keys of which `current` seals and `previous` still open.
    pub fn new(current: [u8; 32], previous: impl IntoIterator<Item = [u8; 32]>) -> Self {
        Self { secrets: core::iter::once(current).chain(previous).map(Zeroizing::new).collect() }
    }

    /// The keys of one scope.
    pub fn ring(&self, scope: Scope<'_>) -> KeyRing {
        KeyRing { keys: self.secrets.iter().map(|secret| Key::derive(secret, scope)).collect() }
    }
}

impl fmt::Debug for RootKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootKeys({})", self.secrets.len())
    }
}

/// The keys of one scope: seals with the current one, opens with any.
#[derive(Clone)]
pub struct KeyRing {
    keys: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    id: [u8; KEY_ID],
    seal: Zeroizing<[u8; 32]>,
    mac: Zeroizing<[u8; 32]>,
}

impl KeyRing {
    /// Seals bytes.
    pub fn seal_bytes(&self, purpose: Purpose, plain: &[u8], rng: &mut impl CryptoRng) -> Vec<u8> {
        let Some(key) = self.keys.first() else {
            return Vec::new();
        };
        let mut nonce = [0; NONCE];
        rng.fill_bytes(&mut nonce);
        let mut sealed = Vec::with_capacity(HEADER + plain.len() + TAG);
        sealed.push(FORMAT);
        sealed.extend_from_slice(&key.id);
        sealed.extend_from_slice(&nonce);
        let payload = Payload { msg: plain, aad: purpose.label() };
        let ciphertext = key.cipher().encrypt(&XNonce::from(nonce), payload);
        sealed.extend_from_slice(&ciphertext.unwrap_or_default());
        sealed
    }

    /// Opens what [`Self::seal_bytes`] of this scope and purpose made.
    pub fn open_bytes(&self, purpose: Purpose, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (format, rest) = sealed.split_first().ok_or(SealError::Format)?;
        let (id, rest) = rest.split_first_chunk::<KEY_ID>().ok_or(SealError::Format)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE>().ok_or(SealError::Format)?;
        if *format != FORMAT {
            return Err(SealError::Format);
        }
        let key = self.key(*id).ok_or(SealError::UnknownKey)?;
        let payload = Payload { msg: ciphertext, aad: purpose.label() };
        key.cipher().decrypt(&XNonce::from(*nonce), payload).or(Err(SealError::Forged))
    }

    /// Seals a value into its text form.
    pub fn seal(&self, purpose: Purpose, value: &impl Serialize, rng: &mut impl CryptoRng) -> String {
        let plain = postcard::to_allocvec(value).map(Zeroizing::new).unwrap_or_default();
        BASE64URL_NOPAD.encode(&self.seal_bytes(purpose, &plain, rng))
    }

    /// Opens the text form of a sealed value.
    pub fn open<T: DeserializeOwned>(&self, purpose: Purpose, sealed: &str) -> Result<T, SealError> {
        let bytes = BASE64URL_NOPAD.decode(sealed.as_bytes()).or(Err(SealError::Format))?;
        let plain = Zeroizing::new(self.open_bytes(purpose, &bytes)?);
        postcard::from_bytes(&plain).or(Err(SealError::Format))
    }

    /// An HMAC-SHA256 of `parts` under the current key, and that key's id.
    ///
    /// Each part is preceded by its length, so that no two lists of parts read the same.
    pub fn mac(&self, label: &str, parts: &[&[u8]]) -> ([u8; KEY_ID], [u8; 32]) {
        self.keys.first().map_or(([0; KEY_ID], [0; 32]), |key| (key.id, key.mac(label, parts)))
    }

    /// The same HMAC under the key with this id, if the ring still has it.
    pub fn mac_of(&self, id: [u8; KEY_ID], label: &str, parts: &[&[u8]]) -> Option<[u8; 32]> {
        self.key(id).map(|key| key.mac(label, parts))
    }

    fn key(&self, id: [u8; KEY_ID]) -> Option<&Key> {
        self.keys.iter().find(|key| key.id == id)
    }
}

/// For a relay host that runs elsewhere: its own keys are all that it is ever given.
impl KeyRing {
    /// Its secrets, for whoever these keys belong to; never for a log.
    pub fn reveal(&self) -> Zeroizing<String> {
        // Of its full size from the start: a vector that grows leaves copies behind.
        let mut all = Zeroizing::new(Vec::with_capacity(self.keys.len() * KEY));
        for key in &self.keys {
            all.extend_from_slice(&key.id);
            all.extend_from_slice(key.seal.as_ref());
            all.extend_from_slice(key.mac.as_ref());
        }
        Zeroizing::new(BASE64URL_NOPAD.encode(&all))
    }

    /// Reads what [`Self::reveal`] told.
    pub fn read(text: &str) -> Result<Self, SealError> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map(Zeroizing::new).or(Err(SealError::Format))?;
        let (keys, rest) = bytes.as_chunks::<KEY>();
        if keys.is_empty() || !rest.is_empty() {
            return Err(SealError::Format);
        }
        keys.iter()
            .map(|key| Key::read(key).ok_or(SealError::Format))
            .collect::<Result<_, _>>()
            .map(|keys| Self { keys })
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRing({})", self.keys.len())
    }
}

impl Key {
    fn derive(secret: &[u8; 32], scope: Scope<'_>) -> Self {
        let (kind, name) = match scope {
            Scope::Tenant(tenant) => ("tenant", tenant.as_str()),
            Scope::Cdx => ("cdx", ""),
            Scope::Relay(host) => ("relay", host.as_str()),
            Scope::Host => ("host", ""),
        };
        let derive = |usage: &str, out: &mut [u8]| {
            let info: [&[u8]; 7] =
                [b"switchhook/1/", kind.as_bytes(), b"/", name.as_bytes(), b"/", usage.as_bytes(), b"/"];
            // Fails only for outputs longer than 8160 bytes (RFC 5869 §2.3).
            Hkdf::<Sha256>::new(None, secret).expand_multi_info(&info, out).unwrap_or_default();
        };
        let mut key = Self { id: [0; KEY_ID], seal: Zeroizing::new([0; 32]), mac: Zeroizing::new([0; 32]) };
        derive("id", &mut key.id);
        derive("seal", key.seal.as_mut());
        derive("mac", key.mac.as_mut());
        key
    }

    fn read(bytes: &[u8; KEY]) -> Option<Self> {
        let (id, secrets) = bytes.split_first_chunk()?;
        let (seal, mac) = secrets.split_first_chunk()?;
        Some(Self { id: *id, seal: Zeroizing::new(*seal), mac: Zeroizing::new(mac.try_into().ok()?) })
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&(*self.seal).into())
    }

    fn mac(&self, label: &str, parts: &[&[u8]]) -> [u8; 32] {
        hmac_sha256(self.mac.as_ref(), core::iter::once(label.as_bytes()).chain(parts.iter().copied()))
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
    use alloc::borrow::ToOwned as _;

    use super::*;
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
