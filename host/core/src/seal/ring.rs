//! The keys of one scope, and what they seal.

use alloc::{string::String, vec::Vec};
use core::fmt;

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use data_encoding::BASE64URL_NOPAD;
use hkdf::Hkdf;
use rand_core::CryptoRng;
use serde::{Serialize, de::DeserializeOwned};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{FORMAT, Purpose, Scope, SealError, hmac_sha256};

const KEY_ID: usize = 4;
const NONCE: usize = 24;
pub(super) const HEADER: usize = 1 + KEY_ID + NONCE;
pub(super) const TAG: usize = 16;
/// A key of a ring: its id, and two secrets.
const KEY: usize = KEY_ID + 32 + 32;

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
    /// Those of a scope, derived of each of the operator's secrets.
    pub(super) fn derive<'a>(secrets: impl IntoIterator<Item = &'a [u8; 32]>, scope: Scope<'_>) -> Self {
        Self { keys: secrets.into_iter().map(|secret| Key::derive(secret, scope)).collect() }
    }

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

    /// The ids of the keys, the current one's first. They are no secret.
    pub fn ids(&self) -> impl Iterator<Item = [u8; KEY_ID]> {
        self.keys.iter().map(|key| key.id)
    }

    /// An HMAC-SHA256 of `parts` under the current key, and that key's id.
    ///
    /// Each part is preceded by its length, so that no two lists of parts read the same.
    pub fn mac(&self, label: &str, parts: &[&[u8]]) -> ([u8; KEY_ID], [u8; 32]) {
        self.keys.first().map_or(([0; KEY_ID], [0; 32]), |key| (key.id, key.mac(label, parts)))
    }

    /// The same HMAC under each key, the current one first.
    ///
    /// For names that are compared, and whose maker may be at another step of a rotation: it is one of these.
    pub fn macs(&self, label: &str, parts: &[&[u8]]) -> Vec<[u8; 32]> {
        self.keys.iter().map(|key| key.mac(label, parts)).collect()
    }

    /// The same HMAC under the key that sealed this text, if the ring still has it: whoever opens the text comes to
    /// the same, whichever key is the current one there.
    pub fn mac_beside(&self, sealed: &str, label: &str, parts: &[&[u8]]) -> Option<[u8; 32]> {
        let sealed = BASE64URL_NOPAD.decode(sealed.as_bytes()).ok()?;
        let (_format, rest) = sealed.split_first()?;
        self.mac_of(*rest.first_chunk()?, label, parts)
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
