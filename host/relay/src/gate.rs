//! Who asks: credentials of a TURN request, judged in the order of RFC 8489 §9.2.4.
//!
//! Username and password are a relay token in TURN's long-term credentials. Nothing is kept: the token
//! is opened, and its password computed, for each request.

use std::net::SocketAddr;

use switchhook_core::{
    relay_token::{self, RelayShare, RelayToken},
    stun::{Algorithm, Key, Message, attribute as stun_attribute},
};
use switchhook_protocol::time::Timestamp;

use crate::{challenge, host::Host, quotas::Participant, refusal::Refusal, request::covered};

/// A client whose credentials count.
pub(crate) struct Visitor {
    pub(crate) participant: Participant,
    /// What its tenant has of this host at most.
    pub(crate) share: RelayShare,
    pub(crate) expires_at: Timestamp,
    /// What its answers are signed with, and how.
    pub(crate) key: Key,
    pub(crate) algorithm: Algorithm,
}

/// PASSWORD-ALGORITHMS that the relay offers: SHA-256 and MD5, without parameters (RFC 8489 §18.5).
pub(crate) const PASSWORD_ALGORITHMS: [u8; 8] = [0, 2, 0, 0, 0, 1, 0, 0];

/// How the key is made of the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PasswordAlgorithm {
    Md5,
    Sha256,
}

impl Host {
    /// To a stranger all wrong credentials are alike.
    pub(crate) fn authenticate(
        &self,
        request: &Message<'_>,
        from: SocketAddr,
        now: Timestamp,
    ) -> Result<Visitor, Refusal> {
        let algorithm = request.algorithm().ok_or(Refusal::Unauthorized)?;
        let username = covered(request, stun_attribute::USERNAME).ok_or(Refusal::BadRequest)?;
        let realm = covered(request, stun_attribute::REALM).ok_or(Refusal::BadRequest)?;
        let nonce = covered(request, stun_attribute::NONCE).ok_or(Refusal::BadRequest)?;
        let keys = self.keys();
        if !challenge::is_fresh(&keys, nonce, from, now) {
            return Err(Refusal::StaleNonce);
        }
        let password_algorithm = password_algorithm(request)?;
        let username = str::from_utf8(username).or(Err(Refusal::Unauthorized))?;
        let token = RelayToken::check(&keys, &self.name, username, now).map_err(|reason| {
            tracing::debug!(%reason, "relay token refused");
            Refusal::Unauthorized
        })?;
        let password = relay_token::password_of(&keys, username).ok_or(Refusal::Unauthorized)?;
        let key = match password_algorithm {
            PasswordAlgorithm::Md5 => Key::long_term_md5(username, &self.realm, &password),
            PasswordAlgorithm::Sha256 => Key::long_term_sha256(username, &self.realm, &password),
        };
        if realm != self.realm.as_bytes() || !request.is_authentic(&key) {
            return Err(Refusal::Unauthorized);
        }
        let (expires_at, share) = (token.expires_at, token.share);
        let participant = Participant::from(token);
        if self.departed.has(&participant, expires_at) {
            return Err(Refusal::Unauthorized);
        }
        Ok(Visitor { participant, share, expires_at, key, algorithm })
    }
}

/// A client that chooses an algorithm repeats what it was offered: nobody took the better ones away.
fn password_algorithm(request: &Message<'_>) -> Result<PasswordAlgorithm, Refusal> {
    let offered = covered(request, stun_attribute::PASSWORD_ALGORITHMS);
    let chosen = covered(request, stun_attribute::PASSWORD_ALGORITHM);
    match (offered, chosen) {
        (None, None) => Ok(PasswordAlgorithm::Md5),
        (Some(offered), Some(chosen)) if offered == PASSWORD_ALGORITHMS => match chosen {
            [0, 1, 0, 0] => Ok(PasswordAlgorithm::Md5),
            [0, 2, 0, 0] => Ok(PasswordAlgorithm::Sha256),
            _ => Err(Refusal::BadRequest),
        },
        (Some(_), _) | (None, Some(_)) => Err(Refusal::BadRequest),
    }
}
