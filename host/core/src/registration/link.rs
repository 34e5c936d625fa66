//! Links that prove a mail address: made, hashed and compared by the host (REG-7, REG-8).
//!
//! A link's token is base32 of a random number (10 bytes) that finds the record and of a random secret (20 bytes):
//! 48 letters and digits, which every mail program leaves as they are. The record holds a keyed hash over the secret,
//! the attempt and the address, so that whoever reads the database cannot validate, and a record that is moved to
//! another address proves nothing.

use alloc::string::String;
use core::{fmt, time::Duration};

use data_encoding::BASE32_NOPAD;
use rand_core::CryptoRng;
use subtle::ConstantTimeEq as _;
use switchhook_protocol::{endpoint::EndpointId, error::ErrorCode, id::AttemptId, time::Timestamp};

use super::code::About;
use crate::{
    mint,
    row::{Secret, SecretKind},
    seal::KeyRing,
};

const RANDOM: usize = 10;
const SECRET: usize = 20;

/// A token to mail, and the record to check it by.
#[derive(Clone, PartialEq, Eq)]
pub struct Made {
    /// For the person, by mail.
    pub token: String,
    /// For the database.
    pub record: Secret,
}

/// Masked: the token is a secret.
impl fmt::Debug for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Made").field("record", &self.record.id).finish_non_exhaustive()
    }
}

/// Makes a token.
pub fn make(
    keys: &KeyRing,
    (attempt, device, to): About<'_>,
    (now, expires_in): (Timestamp, Duration),
    rng: &mut impl CryptoRng,
) -> Made {
    let (random, secret): ([u8; RANDOM], [u8; SECRET]) = (mint::bytes(rng), mint::bytes(rng));
    let (key_id, digest) = keys.mac("link", &parts(&random, &secret, attempt, to));
    let token = BASE32_NOPAD.encode(&[random.as_slice(), &secret].concat());
    let record = Secret {
        id: BASE32_NOPAD.encode(&random),
        kind: SecretKind::Link,
        attempt: attempt.clone(),
        endpoint: to.clone(),
        device: device.cloned(),
        key_id,
        digest: digest.to_vec(),
        tries_left: 1,
        expires_at: now.after(expires_in),
        used_at: None,
    };
    Made { token, record }
}

/// The id of the record that a token points to.
pub fn record_id(token: &str) -> Result<String, ErrorCode> {
    let (random, _) = parse(token)?;
    Ok(BASE32_NOPAD.encode(&random))
}

/// Checks a token against its record: [`ErrorCode::RegistrationMismatch`] if it is not the one that was mailed,
/// [`ErrorCode::LinkUsed`] and [`ErrorCode::RegistrationExpired`] tell only its holder more.
pub fn check(keys: &KeyRing, record: &Secret, token: &str, now: Timestamp) -> Result<(), ErrorCode> {
    let (random, secret) = parse(token)?;
    let mismatch = ErrorCode::RegistrationMismatch;
    let shown = parts(&random, &secret, &record.attempt, &record.endpoint);
    let expected = keys.mac_of(record.key_id, "link", &shown).ok_or(mismatch)?;
    if record.kind != SecretKind::Link || !bool::from(expected.as_slice().ct_eq(&record.digest)) {
        return Err(mismatch);
    }
    if record.used_at.is_some() {
        return Err(ErrorCode::LinkUsed);
    }
    if record.expires_at <= now {
        return Err(ErrorCode::RegistrationExpired);
    }
    Ok(())
}

fn parse(token: &str) -> Result<([u8; RANDOM], [u8; SECRET]), ErrorCode> {
    let mismatch = ErrorCode::RegistrationMismatch;
    let bytes = BASE32_NOPAD.decode(token.as_bytes()).or(Err(mismatch))?;
    let (random, secret) = bytes.split_first_chunk::<RANDOM>().ok_or(mismatch)?;
    Ok((*random, secret.try_into().or(Err(mismatch))?))
}

fn parts<'a>(
    random: &'a [u8],
    secret: &'a [u8],
    attempt: &'a AttemptId,
    to: &'a EndpointId,
) -> [&'a [u8]; 4] {
    [random, secret, attempt.as_str().as_bytes(), to.reveal().as_bytes()]
}

#[cfg(test)]
mod tests {
    use switchhook_protocol::id::TenantId;

    use super::*;
    use crate::{
        seal::{RootKeys, Scope},
        testing::TestRng,
    };

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);
    const LIFE: Duration = Duration::from_hours(1);

    fn keys() -> KeyRing {
        let tenant: TenantId = "acme".parse().unwrap();
        RootKeys::new([1; 32], []).ring(Scope::Tenant(&tenant))
    }

    fn made(to: &str, rng: &mut TestRng) -> Made {
        let (attempt, device) = ("attempt".parse().unwrap(), "device".parse().unwrap());
        make(&keys(), (&attempt, Some(&device), &to.parse().unwrap()), (NOW, LIFE), rng)
    }

    #[test]
    fn reg_8_a_token_is_right_once_and_for_its_time() {
        let Made { token, mut record } = made("bob@example.com", &mut TestRng(5));
        assert_eq!(record_id(&token), Ok(record.id.clone()));
        assert_eq!(check(&keys(), &record, &token, NOW), Ok(()));
        assert_eq!(check(&keys(), &record, &token, NOW.after(LIFE)), Err(ErrorCode::RegistrationExpired));
        record.used_at = Some(NOW);
        assert_eq!(check(&keys(), &record, &token, NOW), Err(ErrorCode::LinkUsed));
    }

    #[test]
    fn reg_8_a_token_with_any_character_changed_fails() {
        let Made { token, record } = made("bob@example.com", &mut TestRng(5));
        assert_eq!(token.len(), 48);
        for position in 0..token.len() {
            let mut changed = token.clone();
            let other = if changed.as_bytes()[position] == b'A' { "B" } else { "A" };
            changed.replace_range(position..=position, other);
            let checked = check(&keys(), &record, &changed, NOW);
            assert_eq!(checked, Err(ErrorCode::RegistrationMismatch), "character {position}");
        }
        for wrong in ["", "x", token.split_at(1).1, &alloc::format!("{token}A")] {
            assert_eq!(record_id(wrong), Err(ErrorCode::RegistrationMismatch), "{wrong}");
        }
    }

    #[test]
    fn reg_8_a_token_proves_its_own_address_and_attempt_alone() {
        let mut rng = TestRng(5);
        let (bobs, annes) = (made("bob@example.com", &mut rng), made("anne@example.com", &mut rng));
        assert_ne!(bobs.token, annes.token);
        let mismatch = Err(ErrorCode::RegistrationMismatch);
        assert_eq!(check(&keys(), &annes.record, &bobs.token, NOW), mismatch);
        let moved = Secret { endpoint: annes.record.endpoint, ..bobs.record.clone() };
        assert_eq!(check(&keys(), &moved, &bobs.token, NOW), mismatch);
        let moved = Secret { attempt: "other".parse().unwrap(), ..bobs.record };
        assert_eq!(check(&keys(), &moved, &bobs.token, NOW), mismatch);
    }
}
