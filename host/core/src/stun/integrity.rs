//! MESSAGE-INTEGRITY and MESSAGE-INTEGRITY-SHA256 (RFC 8489 §14.5, §14.6), and the keys for them.

use alloc::vec::Vec;

use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::attribute;

/// How a message is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC-SHA1.
    Sha1,
    /// HMAC-SHA256.
    Sha256,
}

impl Algorithm {
    /// The attribute that carries it.
    pub const fn attribute(self) -> u16 {
        match self {
            Self::Sha1 => attribute::MESSAGE_INTEGRITY,
            Self::Sha256 => attribute::MESSAGE_INTEGRITY_SHA256,
        }
    }

    /// Bytes of a whole one.
    pub(super) const fn length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }
}

/// What messages are signed with.
pub struct Key(Zeroizing<Vec<u8>>);

/// The shortest that a cut HMAC-SHA256 may be (RFC 8489 §14.6).
const SHORTEST_CUT: usize = 16;

impl Key {
    /// Of a short-term credential (RFC 8489 §9.1.1).
    pub fn short_term(password: &str) -> Self {
        Self(Zeroizing::new(password.as_bytes().to_vec()))
    }

    /// Of a long-term credential, by the password algorithm MD5 (RFC 8489 §18.5.1.1): the one of clients
    /// that name none.
    pub fn long_term_md5(username: &str, realm: &str, password: &str) -> Self {
        let parts = [username, ":", realm, ":", password];
        Self(Zeroizing::new(parts.iter().fold(Md5::new(), Md5::chain_update).finalize().to_vec()))
    }

    /// Of a long-term credential, by the password algorithm SHA-256 (RFC 8489 §18.5.1.2).
    pub fn long_term_sha256(username: &str, realm: &str, password: &str) -> Self {
        let parts = [username, ":", realm, ":", password];
        Self(Zeroizing::new(parts.iter().fold(Sha256::new(), Sha256::chain_update).finalize().to_vec()))
    }

    pub(super) fn mac(&self, algorithm: Algorithm, covered: &[u8]) -> Vec<u8> {
        match algorithm {
            Algorithm::Sha1 => self.sha1(covered).finalize().into_bytes().to_vec(),
            Algorithm::Sha256 => self.sha256(covered).finalize().into_bytes().to_vec(),
        }
    }

    /// Compares in constant time.
    pub(super) fn verify(&self, algorithm: Algorithm, covered: &[u8], mac: &[u8]) -> bool {
        match algorithm {
            Algorithm::Sha1 => self.sha1(covered).verify_slice(mac).is_ok(),
            Algorithm::Sha256 => {
                let cut_well = mac.len() >= SHORTEST_CUT && mac.len().is_multiple_of(4);
                cut_well && self.sha256(covered).verify_truncated_left(mac).is_ok()
            }
        }
    }

    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104 §2)")]
    fn sha1(&self, covered: &[u8]) -> Hmac<Sha1> {
        Hmac::new_from_slice(&self.0).expect("any length").chain_update(covered)
    }

    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104 §2)")]
    fn sha256(&self, covered: &[u8]) -> Hmac<Sha256> {
        Hmac::new_from_slice(&self.0).expect("any length").chain_update(covered)
    }
}

impl core::fmt::Debug for Key {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Key(…)")
    }
}
