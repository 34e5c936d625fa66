//! How a transit and the host sign what they post to each other (REG-2).
//!
//! The header is `t=<seconds>,v1=<hex>`: seconds since 1970, and HMAC-SHA256 under the gateway's
//! secret over `<seconds>.<body>`. A signature counts for [`TOLERANCE`] around its time; within it
//! the message id keeps a repeat from having a second effect.

use alloc::{format, string::String};
use core::time::Duration;

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use switchhook_protocol::time::Timestamp;

/// Name of the HTTP header.
pub const SIGNATURE_HEADER: &str = "switchhook-signature";

/// How far the clocks of transit and host may differ.
pub const TOLERANCE: Duration = Duration::from_mins(5);

/// Why a signature does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSignature {
    /// Not of the form `t=…,v1=…`.
    #[error("not of the form t=<seconds>,v1=<hex>")]
    Format,
    /// Its time is further from now than [`TOLERANCE`].
    #[error("its time is more than five minutes from now")]
    Time,
    /// It is not the signature of this body under this secret.
    #[error("not the signature of this body under this secret")]
    Mismatch,
}

/// The header's value for a body.
pub fn sign(secret: &[u8], body: &[u8], now: Timestamp) -> String {
    let seconds = now.as_millis() / 1000;
    format!("t={seconds},v1={}", HEXLOWER.encode(&mac(secret, seconds, body).finalize().into_bytes()))
}

/// Checks the header's value of a body.
pub fn verify(secret: &[u8], body: &[u8], header: &str, now: Timestamp) -> Result<(), InvalidSignature> {
    let (time, signature) = header.split_once(',').ok_or(InvalidSignature::Format)?;
    let seconds = time.trim().strip_prefix("t=").and_then(|seconds| seconds.parse::<u64>().ok());
    let seconds = seconds.ok_or(InvalidSignature::Format)?;
    let signature = signature.trim().strip_prefix("v1=").ok_or(InvalidSignature::Format)?;
    let signature = HEXLOWER.decode(signature.as_bytes()).or(Err(InvalidSignature::Format))?;
    if (now.as_millis() / 1000).abs_diff(seconds) > TOLERANCE.as_secs() {
        return Err(InvalidSignature::Time);
    }
    mac(secret, seconds, body).verify_slice(&signature).or(Err(InvalidSignature::Mismatch))
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104 §2)")]
fn mac(secret: &[u8], seconds: u64, body: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("any length");
    mac.update(format!("{seconds}.").as_bytes());
    mac.update(body);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_123);

    #[test]
    fn reg_2_a_report_is_signed_over_its_time_and_its_body() {
        let header = sign(b"secret", b"body", NOW);
        assert_eq!(verify(b"secret", b"body", &header, NOW), Ok(()));
        assert_eq!(verify(b"secret", b"b0dy", &header, NOW), Err(InvalidSignature::Mismatch));
        assert_eq!(verify(b"other", b"body", &header, NOW), Err(InvalidSignature::Mismatch));
        let moved = header.replace("t=1700000000", "t=1700000001");
        assert_eq!(verify(b"secret", b"body", &moved, NOW), Err(InvalidSignature::Mismatch));
        assert_eq!(verify(b"secret", b"body", "v1=00", NOW), Err(InvalidSignature::Format));
    }

    #[test]
    fn reg_2_a_report_of_another_time_does_not_count() {
        let header = sign(b"secret", b"body", NOW);
        let late = NOW.after(TOLERANCE + Duration::from_secs(1));
        assert_eq!(verify(b"secret", b"body", &header, late), Err(InvalidSignature::Time));
        let early = Timestamp::from_millis(NOW.as_millis() - 301_000);
        assert_eq!(verify(b"secret", b"body", &header, early), Err(InvalidSignature::Time));
    }
}
