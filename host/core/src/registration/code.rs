//! Codes of six digits: made, hashed, compared and counted by the host (REG-5).

use alloc::string::String;
use core::{fmt, time::Duration};

use rand_core::CryptoRng;
use subtle::ConstantTimeEq as _;
use switchhook_protocol::{
    endpoint::EndpointId,
    id::{AttemptId, DeviceId},
    time::Timestamp,
};

use crate::{
    mint,
    row::{Secret, SecretKind},
    seal::KeyRing,
};

/// Wrong tries that a code bears: five of a million.
pub const TRIES: u8 = 5;

/// A code to send, and the record to check it by.
#[derive(Clone, PartialEq, Eq)]
pub struct Made {
    /// For the person, by SMS.
    pub code: String,
    /// For the database.
    pub record: Secret,
}

/// Masked: the code is a secret.
impl fmt::Debug for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Made").field("record", &self.record.id).finish_non_exhaustive()
    }
}

/// What a code leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    /// It is right: use it now.
    Right,
    /// It is wrong; this many tries are left, none with 0.
    Wrong(u8),
    /// No try was left before this one, or it was used.
    Exhausted,
    /// Its time is over.
    Expired,
}

/// What a code or a link is for: an attempt, mostly of a device, that wants to prove an identifier.
pub type About<'a> = (&'a AttemptId, Option<&'a DeviceId>, &'a EndpointId);

/// Makes a code.
pub fn make(keys: &KeyRing, about: About<'_>, life: (Timestamp, Duration), rng: &mut impl CryptoRng) -> Made {
    fixed(keys, mint::code(rng), about, life)
}

/// A code that somebody has chosen: of a test number.
pub fn fixed(
    keys: &KeyRing,
    code: String,
    (attempt, device, to): About<'_>,
    (now, expires_in): (Timestamp, Duration),
) -> Made {
    let (key_id, digest) = keys.mac("code", &[attempt.as_str().as_bytes(), code.as_bytes()]);
    let record = Secret {
        id: attempt.as_str().into(),
        kind: SecretKind::Code,
        attempt: attempt.clone(),
        endpoint: to.clone(),
        device: device.cloned(),
        key_id,
        digest: digest.to_vec(),
        tries_left: TRIES,
        expires_at: now.after(expires_in),
        used_at: None,
    };
    Made { code, record }
}

/// Checks what a person typed against the attempt's record.
pub fn check(keys: &KeyRing, record: &Secret, typed: &str, now: Timestamp) -> Checked {
    if record.tries_left == 0 || record.used_at.is_some() {
        return Checked::Exhausted;
    }
    if record.expires_at <= now {
        return Checked::Expired;
    }
    let expected = keys.mac_of(record.key_id, "code", &[record.id.as_bytes(), typed.trim().as_bytes()]);
    let right = expected.is_some_and(|expected| expected.as_slice().ct_eq(&record.digest).into());
    if right { Checked::Right } else { Checked::Wrong(record.tries_left - 1) }
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
    const LIFE: Duration = Duration::from_mins(5);

    #[test]
    fn reg_5_a_code_is_right_once_for_its_time_and_within_its_tries() {
        let tenant: TenantId = "acme".parse().unwrap();
        let keys = RootKeys::new([1; 32], []).ring(Scope::Tenant(&tenant));
        let (attempt, device) = ("attempt".parse().unwrap(), "device".parse().unwrap());
        let to = "+15550100".parse().unwrap();
        let Made { code, mut record } =
            make(&keys, (&attempt, Some(&device), &to), (NOW, LIFE), &mut TestRng(5));

        assert_eq!(check(&keys, &record, &code, NOW), Checked::Right);
        assert_eq!(check(&keys, &record, "not it", NOW), Checked::Wrong(TRIES - 1));
        assert_eq!(check(&keys, &record, &code, NOW.after(LIFE)), Checked::Expired);
        record.tries_left = 0;
        assert_eq!(check(&keys, &record, &code, NOW), Checked::Exhausted);
        record.tries_left = TRIES;
        record.used_at = Some(NOW);
        assert_eq!(check(&keys, &record, &code, NOW), Checked::Exhausted);
    }
}
