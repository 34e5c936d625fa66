//! Connection keys: what a client's own exchange with CDX is encrypted under (NAT-2).
//!
//! The host makes one with each `welcome` and keeps none: the client gets it beside a handle, which is the same key
//! sealed for CDX. A handle alone is good for nothing; it says in clear only under which of the host's keys it is sealed.

use alloc::vec::Vec;
use core::{fmt, time::Duration};

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use data_encoding::BASE64URL_NOPAD;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use switchhook_protocol::{
    cdx::own::NONCE,
    device_key::KeyBytes,
    id::{DeviceId, TenantId},
    server::CdxKey,
    time::{Timestamp, millis},
};

use crate::seal::{KeyRing, Purpose, SealError};

/// How long CDX takes a handle: longer than most connections last. Who stays longer asks as standard STUN after that.
pub const LIFE: Duration = Duration::from_hours(24);

/// One connection's key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionKey {
    /// Whose device it is.
    pub tenant: TenantId,
    /// The device.
    pub device: DeviceId,
    /// CDX does not take it after this.
    pub expires_at: Timestamp,
    key: [u8; 32],
}

impl ConnectionKey {
    /// A new key of a device, as it goes to its client.
    pub fn give(
        (tenant, device): (&TenantId, &DeviceId),
        (keys, now): (&KeyRing, Timestamp),
        rng: &mut impl CryptoRng,
    ) -> CdxKey {
        let mut key = [0; 32];
        rng.fill_bytes(&mut key);
        let (tenant, device) = (tenant.clone(), device.clone());
        let handle = Self { tenant, device, expires_at: now.after(LIFE), key }.seal(keys, rng);
        let handle = BASE64URL_NOPAD.encode(&handle);
        CdxKey { handle, key: KeyBytes(key.to_vec()), expires_in_ms: millis(LIFE) }
    }

    /// Opens a handle.
    pub fn open(keys: &KeyRing, handle: &[u8]) -> Result<Self, SealError> {
        let plain = keys.open_bytes(Purpose::ConnectionKey, handle)?;
        postcard::from_bytes(&plain).or(Err(SealError::Format))
    }

    /// Opens what the client sealed under it; none if it was changed, or sealed for something else.
    pub fn open_message(&self, nonce: &[u8; NONCE], sealed: &[u8], about: &[u8]) -> Option<Vec<u8>> {
        let payload = Payload { msg: sealed, aad: about };
        XChaCha20Poly1305::new(&self.key.into()).decrypt(&XNonce::from(*nonce), payload).ok()
    }

    /// Seals something for the client, with its nonce.
    pub fn seal_message(
        &self,
        plain: &[u8],
        about: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Option<([u8; NONCE], Vec<u8>)> {
        let mut nonce = [0; NONCE];
        rng.fill_bytes(&mut nonce);
        let payload = Payload { msg: plain, aad: about };
        let sealed = XChaCha20Poly1305::new(&self.key.into()).encrypt(&XNonce::from(nonce), payload).ok()?;
        Some((nonce, sealed))
    }

    fn seal(&self, keys: &KeyRing, rng: &mut impl CryptoRng) -> Vec<u8> {
        let plain = postcard::to_allocvec(self).map(zeroize::Zeroizing::new).unwrap_or_default();
        keys.seal_bytes(Purpose::ConnectionKey, &plain, rng)
    }
}

impl fmt::Debug for ConnectionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut form = f.debug_struct("ConnectionKey");
        form.field("tenant", &self.tenant).field("device", &self.device).finish_non_exhaustive()
    }
}
