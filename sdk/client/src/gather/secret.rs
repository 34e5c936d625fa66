//! Questions to CDX under the connection's key: nobody on the way reads along, or changes what is said (NAT-2).

use std::time::{Duration, Instant};

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use data_encoding::BASE64URL_NOPAD;
use rand::Rng as _;
use switchhook_protocol::{
    cdx::own::{ANSWER, Answer, Answered, Asked, NONCE, PADDING, QUESTION, Question},
    server::CdxKey,
};

/// The connection's key, and the handle that CDX finds it by.
#[derive(Clone)]
pub(super) struct Secret {
    cipher: XChaCha20Poly1305,
    handle: Vec<u8>,
    until: Instant,
}

impl Secret {
    /// As `welcome` brought it; none if it is malformed.
    pub(super) fn new(key: &CdxKey, now: Instant) -> Option<Self> {
        let bytes: [u8; 32] = key.key.0.as_slice().try_into().ok()?;
        let handle = BASE64URL_NOPAD.decode(key.handle.as_bytes()).ok()?;
        let until = now + Duration::from_millis(key.expires_in_ms);
        Some(Self { cipher: XChaCha20Poly1305::new(&bytes.into()), handle, until })
    }

    /// Whether CDX takes it still.
    pub(super) fn counts(&self, now: Instant) -> bool {
        now < self.until
    }

    /// "Where do you see me?" Sealed anew each time: CDX answers a question once.
    pub(super) fn question(&self, number: u32) -> Option<Vec<u8>> {
        let plain = serde_json::to_vec(&Question { number, padding: "0".repeat(PADDING) }).ok()?;
        let mut nonce = [0; NONCE];
        rand::rng().fill_bytes(&mut nonce);
        let payload = Payload { msg: &plain, aad: QUESTION };
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload).ok()?;
        Asked { handle: &self.handle, nonce: &nonce, sealed: &sealed }.write()
    }

    /// Reads what CDX answered; none if it is not authentic.
    pub(super) fn read(&self, datagram: &[u8]) -> Option<Answer> {
        let Answered { nonce, sealed } = Answered::read(datagram)?;
        let payload = Payload { msg: sealed, aad: ANSWER };
        let plain = self.cipher.decrypt(&XNonce::from(*nonce), payload).ok()?;
        serde_json::from_slice(&plain).ok()
    }
}
