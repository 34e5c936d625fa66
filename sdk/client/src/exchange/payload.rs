//! What one side tells the other through CDX, sealed under the session's media key.
//!
//! ```text
//! nonce, 24 bytes | XChaCha20-Poly1305 of the JSON of a payload
//! ```
//!
//! The key is HKDF-SHA256 of the media key; the session and the sender's end are associated data, so that what
//! somebody throws back at its sender, or into another session, does not open.

use core::net::SocketAddr;

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload as Sealing},
};
use hkdf::Hkdf;
use rand::Rng as _;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::secure::{Secrets, Side};

const INFO: &[u8] = b"switchhook/1/exchange";
const NONCE: usize = 24;

/// What one side tells the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Payload {
    /// Counts up from 1 with each change of what is told.
    pub(super) number: u32,
    /// The last number that was heard from the other side; 0 is none.
    pub(super) heard: u32,
    /// The sender has not heard that this was heard: it wants an answer.
    pub(super) asks: bool,
    /// Where the sender may be reached, the best first.
    pub(super) candidates: Vec<SocketAddr>,
}

/// Seals one side's payloads and opens the other's.
pub(super) struct Seal {
    cipher: XChaCha20Poly1305,
    mine: String,
    theirs: String,
}

impl Seal {
    pub(super) fn new(secrets: &Secrets, side: Side) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        // Fails only for outputs longer than 8160 bytes (RFC 5869 §2.3).
        Hkdf::<Sha256>::new(None, secrets.media_key.bytes()).expand(INFO, key.as_mut()).unwrap_or_default();
        let (mine, theirs) = side.names(&secrets.session);
        Self { cipher: XChaCha20Poly1305::new(&(*key).into()), mine, theirs }
    }

    pub(super) fn seal(&self, payload: &Payload) -> Option<Vec<u8>> {
        let mut sealed = vec![0; NONCE];
        rand::rng().fill_bytes(&mut sealed);
        let nonce: [u8; NONCE] = sealed.as_slice().try_into().ok()?;
        let plain = serde_json::to_vec(payload).ok()?;
        let sealing = Sealing { msg: &plain, aad: self.mine.as_bytes() };
        sealed.extend(self.cipher.encrypt(&XNonce::from(nonce), sealing).ok()?);
        Some(sealed)
    }

    /// Opens a payload; none if it is not authentic, or not in this form.
    pub(super) fn open(&self, sealed: &[u8]) -> Option<Payload> {
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE>()?;
        let sealing = Sealing { msg: ciphertext, aad: self.theirs.as_bytes() };
        let plain = self.cipher.decrypt(&XNonce::from(*nonce), sealing).ok()?;
        serde_json::from_slice(&plain).ok()
    }
}
