//! The signature over number, push token, device id and a random number (REG-3, REG-4).
//!
//! Its text is base32 of the random number (10 bytes) and an HMAC (16 bytes): 42 characters of the
//! GSM-7 alphabet. The random number finds the record and tells devices that share a number apart.
//! The record holds a keyed hash of the HMAC, so that whoever reads the database cannot validate.

use alloc::{string::String, vec::Vec};
use core::time::Duration;

use data_encoding::BASE32_NOPAD;
use rand_core::CryptoRng;
use subtle::ConstantTimeEq as _;
use switchhook_protocol::{
    endpoint::EndpointId,
    error::ErrorCode,
    id::{AttemptId, DeviceId, PushToken},
    time::Timestamp,
};

use crate::{
    mint,
    row::{Secret, SecretKind},
    seal::KeyRing,
};

const RANDOM: usize = 10;
const MAC: usize = 16;

/// What a signature is over, besides its random number.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    /// The number that the transit read from the message's header.
    pub number: &'a EndpointId,
    /// The push token in the device's text.
    pub push_token: &'a PushToken,
    /// The device id in the device's text.
    pub device: &'a DeviceId,
}

/// A signature to send, and the record to check it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// For the device, by SMS.
    pub signature: String,
    /// For the database.
    pub record: Secret,
}

/// What a signature that holds leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verified {
    /// Use it now.
    Fresh,
    /// The same device repeated the same fields after success: the same success.
    Repeated,
}

/// Makes a signature.
pub fn make(
    keys: &KeyRing,
    fields: Fields<'_>,
    attempt: &AttemptId,
    (now, expires_in): (Timestamp, Duration),
    rng: &mut impl CryptoRng,
) -> Made {
    let random: [u8; RANDOM] = mint::bytes(rng);
    let (key_id, mac) = keys.mac("signature", &parts(&random, fields));
    let (mac, _) = mac.split_at(MAC);
    let (_, digest) = keys.mac("signature-record", &[mac]);
    let signature = BASE32_NOPAD.encode(&[random.as_slice(), mac].concat());
    let record = Secret {
        id: BASE32_NOPAD.encode(&random),
        kind: SecretKind::Signature,
        attempt: attempt.clone(),
        endpoint: fields.number.clone(),
        device: Some(fields.device.clone()),
        key_id,
        digest: digest.to_vec(),
        tries_left: 1,
        expires_at: now.after(expires_in),
        used_at: None,
    };
    Made { signature, record }
}

/// The id of the record that a signature's text points to.
pub fn record_id(signature: &str) -> Result<String, ErrorCode> {
    let (random, _) = parse(signature)?;
    Ok(BASE32_NOPAD.encode(&random))
}

/// Checks a signature with its fields against its record.
///
/// One error for every field that is wrong: nobody learns which.
pub fn check(
    keys: &KeyRing,
    record: &Secret,
    fields: Fields<'_>,
    signature: &str,
    now: Timestamp,
) -> Result<Verified, ErrorCode> {
    let (random, shown) = parse(signature)?;
    let mismatch = ErrorCode::RegistrationMismatch;
    let expected = keys.mac_of(record.key_id, "signature", &parts(&random, fields)).ok_or(mismatch)?;
    let digest = keys.mac_of(record.key_id, "signature-record", &[&shown]).ok_or(mismatch)?;
    let (expected, _) = expected.split_at(MAC);
    let holds = expected.ct_eq(&shown) & digest.as_slice().ct_eq(&record.digest);
    if record.kind != SecretKind::Signature || !bool::from(holds) {
        return Err(mismatch);
    }
    if record.used_at.is_some() {
        return Ok(Verified::Repeated);
    }
    if record.expires_at <= now {
        return Err(ErrorCode::RegistrationExpired);
    }
    Ok(Verified::Fresh)
}

/// Whether these keys made a signature for these fields, though its record is no more: whoever holds the number by it
/// holds it still.
pub fn was_made(keys: &KeyRing, fields: Fields<'_>, signature: &str) -> bool {
    let Ok((random, shown)) = parse(signature) else { return false };
    let may_be = keys.macs("signature", &parts(&random, fields));
    may_be.iter().any(|mac| bool::from(mac.split_at(MAC).0.ct_eq(&shown)))
}

fn parse(signature: &str) -> Result<([u8; RANDOM], Vec<u8>), ErrorCode> {
    let bytes = BASE32_NOPAD.decode(signature.as_bytes()).or(Err(ErrorCode::RegistrationMismatch))?;
    let (random, mac) = bytes.split_first_chunk::<RANDOM>().ok_or(ErrorCode::RegistrationMismatch)?;
    if mac.len() == MAC { Ok((*random, mac.to_vec())) } else { Err(ErrorCode::RegistrationMismatch) }
}

fn parts<'a>(random: &'a [u8], fields: Fields<'a>) -> [&'a [u8]; 4] {
    [
        random,
        fields.number.reveal().as_bytes(),
        fields.push_token.as_str().as_bytes(),
        fields.device.as_str().as_bytes(),
    ]
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
    const LIFE: Duration = Duration::from_mins(10);

    struct Owned(EndpointId, PushToken, DeviceId);

    impl Owned {
        fn new(number: &str, token: &str, device: &str) -> Self {
            Self(number.parse().unwrap(), token.parse().unwrap(), device.parse().unwrap())
        }

        fn fields(&self) -> Fields<'_> {
            Fields { number: &self.0, push_token: &self.1, device: &self.2 }
        }
    }

    fn keys(secret: u8, previous: &[u8]) -> KeyRing {
        let tenant: TenantId = "acme".parse().unwrap();
        let previous = previous.iter().map(|byte| [*byte; 32]);
        RootKeys::new([secret; 32], previous).ring(Scope::Tenant(&tenant))
    }

    fn alice() -> Owned {
        Owned::new("+15550100", "token-a", "device-a")
    }

    fn made(keys: &KeyRing) -> Made {
        let attempt = "attempt".parse().unwrap();
        make(keys, alice().fields(), &attempt, (NOW, LIFE), &mut TestRng(5))
    }

    #[test]
    fn reg_4_a_change_in_any_single_field_fails() {
        let keys = keys(1, &[]);
        let Made { signature, record } = made(&keys);
        let check = |owned: &Owned, signature: &str| check(&keys, &record, owned.fields(), signature, NOW);
        assert_eq!(check(&alice(), &signature), Ok(Verified::Fresh));

        let mismatch = Err(ErrorCode::RegistrationMismatch);
        assert_eq!(check(&Owned::new("+15550101", "token-a", "device-a"), &signature), mismatch);
        assert_eq!(check(&Owned::new("+15550100", "token-b", "device-a"), &signature), mismatch);
        assert_eq!(check(&Owned::new("+15550100", "token-a", "device-b"), &signature), mismatch);
        for position in 0..signature.len() {
            let mut changed = signature.clone();
            let other = if changed.as_bytes()[position] == b'A' { "B" } else { "A" };
            changed.replace_range(position..=position, other);
            assert_eq!(check(&alice(), &changed), mismatch, "character {position}");
        }
    }

    #[test]
    fn reg_4_without_its_record_a_signature_is_known_by_its_fields_under_every_key() {
        let Made { signature, .. } = made(&keys(1, &[]));
        assert!(was_made(&keys(2, &[1]), alice().fields(), &signature));
        assert!(!was_made(&keys(2, &[]), alice().fields(), &signature));
        assert!(!was_made(
            &keys(1, &[]),
            Owned::new("+15550101", "token-a", "device-a").fields(),
            &signature
        ));
        assert!(!was_made(&keys(1, &[]), alice().fields(), &signature.to_lowercase()));
        let Made { signature: later, .. } = made(&keys(3, &[]));
        assert!(!was_made(&keys(1, &[]), alice().fields(), &later));
        assert!(!was_made(&keys(1, &[]), alice().fields(), "short"));
    }

    #[test]
    fn reg_4_a_signature_counts_for_its_time_and_repeats_its_success() {
        let keys = keys(1, &[]);
        let Made { signature, mut record } = made(&keys);
        let late = NOW.after(LIFE);
        let checked = check(&keys, &record, alice().fields(), &signature, late);
        assert_eq!(checked, Err(ErrorCode::RegistrationExpired));
        record.used_at = Some(NOW);
        let checked = check(&keys, &record, alice().fields(), &signature, late);
        assert_eq!(checked, Ok(Verified::Repeated));
    }

    #[test]
    fn reg_3_a_signature_of_the_previous_key_counts_after_a_rotation() {
        let Made { signature, record } = made(&keys(1, &[]));
        let checked = check(&keys(2, &[1]), &record, alice().fields(), &signature, NOW);
        assert_eq!(checked, Ok(Verified::Fresh));
    }

    #[test]
    fn reg_3_devices_that_share_a_number_get_different_signatures_found_by_their_random_numbers() {
        let keys = keys(1, &[]);
        let attempt = "attempt".parse().unwrap();
        let mut rng = TestRng(5);
        let one = make(&keys, alice().fields(), &attempt, (NOW, LIFE), &mut rng);
        let two = make(&keys, alice().fields(), &attempt, (NOW, LIFE), &mut rng);
        assert_ne!(one.signature, two.signature);
        assert_eq!(record_id(&one.signature), Ok(one.record.id));
        assert_eq!(record_id(&two.signature), Ok(two.record.id));
        assert_eq!(one.signature.len(), 42);
    }
}
