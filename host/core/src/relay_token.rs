//! Relay tokens: what a relay host demands of a participant (REL-2, REL-3).
//!
//! To TURN the token is a username, and clients treat it as opaque: it is sealed under the keys of
//! one relay host, so that this host alone opens it. The password is an HMAC of the username under
//! the key that sealed it. The relay host computes it from the username that comes with a request
//! and keeps nothing, and a key ring that still has the previous key serves both.

use alloc::string::String;
use core::fmt;

use data_encoding::BASE64URL_NOPAD;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use switchhook_protocol::{
    id::{DeviceId, RelayHostId, SessionId, TenantId},
    time::Timestamp,
};

use crate::{
    limits::{Limits, UNSET},
    seal::{KeyRing, Purpose, SealError},
};

/// Longest username that STUN carries, in bytes (RFC 8489 §14.3).
pub const MAX_USERNAME: usize = 508;

const PASSWORD: &str = "relay-password";

/// One participant's right to a relay host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayToken {
    /// Whose session it is.
    pub tenant: TenantId,
    /// The session that may be relayed.
    pub session: SessionId,
    /// The participant's device.
    pub device: DeviceId,
    /// The relay host that the token is for.
    pub host: RelayHostId,
    /// No allocation lives longer than this.
    pub expires_at: Timestamp,
    /// What the host gives its tenant at most.
    pub share: RelayShare,
}

/// What a tenant has of one relay host at most; nothing: what the host's own settings give.
///
/// It travels in the token, so that a relay host knows it of whoever comes, and of nobody else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayShare {
    /// Allocations at a time, of all the tenant's sessions.
    pub allocations: Option<u32>,
    /// Bytes of payload relayed in a second, both ways together.
    pub bytes_per_second: Option<u64>,
}

/// A token in the form of TURN's long-term credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct TurnCredentials {
    /// The token, sealed.
    pub username: String,
    /// Proves that whoever shows the username was given it.
    pub password: String,
}

impl fmt::Debug for TurnCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TurnCredentials(…)")
    }
}

/// Why a relay host refuses a username.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefusedToken {
    /// It was not sealed under this relay host's keys.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// It names another relay host.
    #[error("for another relay host")]
    OtherHost,
    /// Its time is over.
    #[error("expired")]
    Expired,
}

impl RelayToken {
    /// Makes the credentials that carry this token, under the keys of its relay host.
    pub fn mint(&self, keys: &KeyRing, rng: &mut impl CryptoRng) -> TurnCredentials {
        let username = keys.seal(Purpose::RelayToken, self, rng);
        let (_, mac) = keys.mac(PASSWORD, &[username.as_bytes()]);
        TurnCredentials { username, password: BASE64URL_NOPAD.encode(&mac) }
    }

    /// Opens a username that was shown to the relay host `host`.
    ///
    /// Whoever shows it is not proven by this: the request must also be authenticated with
    /// [`password_of`].
    pub fn check(
        keys: &KeyRing,
        host: &RelayHostId,
        username: &str,
        now: Timestamp,
    ) -> Result<Self, RefusedToken> {
        let token: Self = keys.open(Purpose::RelayToken, username)?;
        if token.host != *host {
            return Err(RefusedToken::OtherHost);
        }
        if token.expires_at <= now {
            return Err(RefusedToken::Expired);
        }
        Ok(token)
    }
}

impl From<&Limits> for RelayShare {
    fn from(limits: &Limits) -> Self {
        let set = |bound: u32| (bound != UNSET).then_some(bound);
        Self {
            allocations: set(limits.relay_allocations),
            bytes_per_second: set(limits.relay_kilobytes).map(|kilobytes| u64::from(kilobytes) * 1_000),
        }
    }
}

/// The password that goes with a username, if a key of the ring could have sealed it.
pub fn password_of(keys: &KeyRing, username: &str) -> Option<String> {
    keys.mac_beside(username, PASSWORD, &[username.as_bytes()]).map(|mac| BASE64URL_NOPAD.encode(&mac))
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use core::time::Duration;

    use super::*;
    use crate::{
        seal::{RootKeys, Scope},
        testing::TestRng,
    };

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
    const OLD: [u8; 32] = [1; 32];
    const NEW: [u8; 32] = [2; 32];

    fn ring(roots: &RootKeys, host: &str) -> KeyRing {
        roots.ring(Scope::Relay(&host.parse().unwrap()))
    }

    fn token() -> RelayToken {
        RelayToken {
            tenant: "acme".parse().unwrap(),
            session: "s1".parse().unwrap(),
            device: "d1".parse().unwrap(),
            host: "relay-1".parse().unwrap(),
            expires_at: NOW.after(Duration::from_mins(1)),
            share: RelayShare::default(),
        }
    }

    #[test]
    fn rel_3_what_nobody_has_set_is_the_relay_hosts_own_matter() {
        assert_eq!(RelayShare::from(&Limits::default()), RelayShare::default());
        let limits = Limits { relay_allocations: 0, relay_kilobytes: 7, ..Limits::default() };
        let share = RelayShare { allocations: Some(0), bytes_per_second: Some(7_000) };
        assert_eq!(RelayShare::from(&limits), share);
    }

    #[test]
    fn rel_3_a_relay_host_opens_its_token_and_computes_its_password() {
        let keys = ring(&RootKeys::new(OLD, []), "relay-1");
        let credentials = token().mint(&keys, &mut TestRng(1));
        assert_eq!(RelayToken::check(&keys, &token().host, &credentials.username, NOW), Ok(token()));
        assert_eq!(password_of(&keys, &credentials.username), Some(credentials.password.clone()));
        assert_eq!(format!("{credentials:?}"), "TurnCredentials(…)");
    }

    #[test]
    fn rel_3_a_token_of_the_previous_key_still_opens() {
        let credentials = token().mint(&ring(&RootKeys::new(OLD, []), "relay-1"), &mut TestRng(1));
        let rotated = ring(&RootKeys::new(NEW, [OLD]), "relay-1");
        assert_eq!(RelayToken::check(&rotated, &token().host, &credentials.username, NOW), Ok(token()));
        assert_eq!(password_of(&rotated, &credentials.username), Some(credentials.password));
        let forgotten = ring(&RootKeys::new(NEW, []), "relay-1");
        assert_eq!(password_of(&forgotten, &credentials.username), None);
    }

    #[test]
    fn rel_3_another_hosts_an_expired_and_a_changed_token_are_refused() {
        let roots = RootKeys::new(OLD, []);
        let keys = ring(&roots, "relay-1");
        let host = token().host;
        let check = |username: &str, now| RelayToken::check(&keys, &host, username, now);

        let mine = token().mint(&keys, &mut TestRng(1)).username;
        assert_eq!(check(&mine, token().expires_at), Err(RefusedToken::Expired));

        let elsewhere = token().mint(&ring(&roots, "relay-2"), &mut TestRng(1)).username;
        assert_eq!(check(&elsewhere, NOW), Err(RefusedToken::Seal(SealError::UnknownKey)));

        let other = RelayToken { host: "relay-2".parse().unwrap(), ..token() };
        let other = other.mint(&keys, &mut TestRng(1)).username;
        assert_eq!(check(&other, NOW), Err(RefusedToken::OtherHost));

        let changed: String = mine.chars().rev().collect();
        assert!(matches!(check(&changed, NOW), Err(RefusedToken::Seal(_))));
        assert_eq!(check("guest", NOW), Err(RefusedToken::Seal(SealError::Format)));
    }

    #[test]
    fn rel_3_the_longest_ids_fit_into_a_turn_username() {
        let longest = "x".repeat(64);
        let token = RelayToken {
            tenant: longest.parse().unwrap(),
            session: longest.parse().unwrap(),
            device: longest.parse().unwrap(),
            host: longest.parse().unwrap(),
            expires_at: Timestamp::from_millis(u64::MAX),
            share: RelayShare { allocations: Some(u32::MAX), bytes_per_second: Some(u64::MAX) },
        };
        let keys = ring(&RootKeys::new(OLD, []), &longest);
        assert!(token.mint(&keys, &mut TestRng(1)).username.len() <= MAX_USERNAME);
    }
}
