//! MESSAGE-INTEGRITY with long-term credentials (RFC 8489 §9.2, §14.5).

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use switchhook_core::stun::{Message, Writer};

/// The key of one username, realm and password.
pub(crate) struct LongTermKey(Hmac<Sha1>);

impl LongTermKey {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104 §2)")]
    pub(crate) fn new(username: &str, realm: &str, password: &str) -> Self {
        let key = turn::auth::generate_auth_key(username, realm, password);
        Self(Hmac::new_from_slice(&key).expect("any length"))
    }

    /// Whether the message was signed with this key; compared in constant time.
    pub(crate) fn signed(&self, message: &Message<'_>) -> bool {
        let Some((covered, mac)) = message.integrity() else { return false };
        self.0.clone().chain_update(&*covered).verify_slice(&mac).is_ok()
    }

    pub(crate) fn sign(&self, writer: &mut Writer<'_>) {
        writer.integrity(|covered| self.0.clone().chain_update(covered).finalize().into_bytes().into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5769 §2.4.
    const LONG_TERM: [u8; 116] = [
        0x00, 0x01, 0x00, 0x60, 0x21, 0x12, 0xa4, 0x42, 0x78, 0xad, 0x34, 0x33, 0xc6, 0xad, 0x72, 0xc0, 0x29,
        0xda, 0x41, 0x2e, 0x00, 0x06, 0x00, 0x12, 0xe3, 0x83, 0x9e, 0xe3, 0x83, 0x88, 0xe3, 0x83, 0xaa, 0xe3,
        0x83, 0x83, 0xe3, 0x82, 0xaf, 0xe3, 0x82, 0xb9, 0x00, 0x00, 0x00, 0x15, 0x00, 0x1c, 0x66, 0x2f, 0x2f,
        0x34, 0x39, 0x39, 0x6b, 0x39, 0x35, 0x34, 0x64, 0x36, 0x4f, 0x4c, 0x33, 0x34, 0x6f, 0x4c, 0x39, 0x46,
        0x53, 0x54, 0x76, 0x79, 0x36, 0x34, 0x73, 0x41, 0x00, 0x14, 0x00, 0x0b, 0x65, 0x78, 0x61, 0x6d, 0x70,
        0x6c, 0x65, 0x2e, 0x6f, 0x72, 0x67, 0x00, 0x00, 0x08, 0x00, 0x14, 0xf6, 0x70, 0x24, 0x65, 0x6d, 0xd6,
        0x4a, 0x3e, 0x02, 0xb8, 0xe0, 0x71, 0x2e, 0x85, 0xc9, 0xa2, 0x8c, 0xa8, 0x96, 0x66,
    ];

    #[test]
    fn the_long_term_request_of_rfc_5769_is_authentic_and_signed_the_same() {
        let key = LongTermKey::new("マトリックス", "example.org", "TheMatrIX");
        let message = Message::parse(&LONG_TERM).unwrap();
        assert!(key.signed(&message));
        assert!(!LongTermKey::new("マトリックス", "example.org", "TheMatriX").signed(&message));

        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out, message.message_type(), message.transaction());
        for (kind, value) in message.covered_attributes() {
            writer.attribute(kind, value);
        }
        key.sign(&mut writer);
        assert_eq!(out, LONG_TERM);
    }
}
