//! Ids, tokens and codes, made from a random generator that the caller brings.
//!
//! Ids and tokens are lower-case base32 (RFC 4648 §6, no padding): safe in a path, a log line, a
//! subject of a bus, and in the GSM-7 alphabet of an SMS.

use alloc::string::String;

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use rand_core::CryptoRng;
use switchhook_protocol::id::{
    AttemptId, DeviceId, Epoch, MessageId, NodeId, ProfileId, PushToken, SessionId,
};

macro_rules! minted {
    ($($(#[$doc:meta])* $name:ident -> $id:ty = $bytes:literal;)*) => {$(
        $(#[$doc])*
        pub fn $name(rng: &mut impl CryptoRng) -> $id {
            <$id>::try_from(word::<$bytes>(rng)).expect("base32 is an id")
        }
    )*};
}

minted! {
    /// A device: 96 random bits, short enough for an SMS.
    device -> DeviceId = 12;
    /// A push token: 128 random bits, 26 characters (REG-1).
    push_token -> PushToken = 16;
    /// A session.
    session -> SessionId = 16;
    /// A registration attempt.
    attempt -> AttemptId = 16;
    /// A profile.
    profile -> ProfileId = 16;
    /// A message.
    message -> MessageId = 16;
    /// A mailbox's incarnation.
    epoch -> Epoch = 8;
    /// A running process.
    node -> NodeId = 10;
}

/// Random bytes as lower-case base32.
pub fn word<const BYTES: usize>(rng: &mut impl CryptoRng) -> String {
    BASE32_NOPAD.encode(&bytes::<BYTES>(rng)).to_ascii_lowercase()
}

/// Random bytes.
pub fn bytes<const BYTES: usize>(rng: &mut impl CryptoRng) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    rng.fill_bytes(&mut bytes);
    bytes
}

/// A nonce for a challenge: 256 random bits, base64url.
pub fn nonce(rng: &mut impl CryptoRng) -> String {
    BASE64URL_NOPAD.encode(&bytes::<32>(rng))
}

/// A code of six digits, each as likely as the others (REG-5).
pub fn code(rng: &mut impl CryptoRng) -> String {
    /// The largest multiple of a million that fits: what is above it would favour small codes.
    const FAIR: u32 = u32::MAX - u32::MAX % 1_000_000;
    loop {
        let drawn = rng.next_u32();
        if drawn < FAIR {
            return alloc::format!("{:06}", drawn % 1_000_000);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestRng;

    #[test]
    fn a_push_token_fits_an_sms() {
        let token = push_token(&mut TestRng(1));
        assert_eq!(token.as_str().len(), 26);
        assert!(token.as_str().bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()));
    }

    #[test]
    fn a_code_has_six_digits() {
        for seed in 0..100 {
            let code = code(&mut TestRng(seed));
            assert!(code.len() == 6 && code.bytes().all(|c| c.is_ascii_digit()), "{code}");
        }
    }
}
