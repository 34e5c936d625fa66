//! Credentials of a device: what it has proven once, and need not prove again (REG-6, REG-9).
//!
//! They are sealed and opaque, of one scope, bound to one device and its key, and expire. A row says which are the
//! newest of their kind: those are revoked by taking the row away, and newer ones take the place of older.

use alloc::{string::String, vec::Vec};

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use switchhook_protocol::{
    endpoint::EndpointId,
    error::ErrorCode,
    id::{DeviceId, ProfileId},
    registration::Scope,
    time::Timestamp,
};

use crate::{
    mint,
    row::{Device, IssuedCredentials},
    seal::{KeyRing, Purpose},
};

/// What credentials are for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct For {
    /// The scope.
    pub scope: Scope,
    /// The profile.
    pub profile: ProfileId,
    /// The address; none of scope `profile`.
    pub endpoint: Option<EndpointId>,
}

/// As the device holds them.
#[derive(Serialize, Deserialize)]
struct Sealed {
    scope: u8,
    profile: ProfileId,
    endpoint: Option<EndpointId>,
    device: DeviceId,
    /// The public half of the device's key.
    key: Vec<u8>,
    serial: String,
    expires_at: Timestamp,
}

/// Makes credentials: for the device, sealed, and for the database.
pub fn issue(
    keys: &KeyRing,
    wanted: For,
    device: &Device,
    expires_at: Timestamp,
    rng: &mut impl CryptoRng,
) -> (String, IssuedCredentials) {
    let For { scope, profile, endpoint } = wanted;
    let serial = mint::word::<10>(rng);
    let sealed = Sealed {
        scope: number(scope),
        profile: profile.clone(),
        endpoint: endpoint.clone(),
        device: device.id.clone(),
        key: device.key.public.0.clone(),
        serial: serial.clone(),
        expires_at,
    };
    let credentials = keys.seal(Purpose::Credentials, &sealed, rng);
    (
        credentials,
        IssuedCredentials { scope, profile, endpoint, device: device.id.clone(), serial, expires_at },
    )
}

/// Reads credentials that a device sends, as those of this scope. Whether they are the newest, their row says.
///
/// A stranger learns nothing: what does not open, is of another scope or of another device is refused alike.
pub fn read(
    keys: &KeyRing,
    credentials: &str,
    scope: Scope,
    device: &Device,
    now: Timestamp,
) -> Result<IssuedCredentials, ErrorCode> {
    let refused = ErrorCode::CredentialsRefused;
    let sealed: Sealed = keys.open(Purpose::Credentials, credentials).or(Err(refused))?;
    let own = sealed.device == device.id && sealed.key == device.key.public.0;
    if !own || sealed.scope != number(scope) {
        return Err(refused);
    }
    if sealed.expires_at <= now {
        return Err(ErrorCode::CredentialsExpired);
    }
    let Sealed { profile, endpoint, device, serial, expires_at, .. } = sealed;
    Ok(IssuedCredentials { scope, profile, endpoint, device, serial, expires_at })
}

/// Never reused for another.
const fn number(scope: Scope) -> u8 {
    match scope {
        Scope::Profile => 1,
        Scope::Address => 2,
        Scope::Login => 3,
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use core::time::Duration;

    use switchhook_protocol::{
        device_key::{Algorithm, DeviceKey, KeyBytes},
        id::TenantId,
    };

    use super::*;
    use crate::{
        seal::{self, RootKeys},
        testing::TestRng,
    };

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);
    const LIFE: Duration = Duration::from_mins(5);

    fn keys(tenant: &str) -> KeyRing {
        let tenant: TenantId = tenant.parse().unwrap();
        RootKeys::new([1; 32], []).ring(seal::Scope::Tenant(&tenant))
    }

    fn device(name: &str, key: u8) -> Device {
        Device {
            id: name.parse().unwrap(),
            application: "phone".parse().unwrap(),
            kind: "phone".into(),
            key: DeviceKey { algorithm: Algorithm::Ed25519, public: KeyBytes(vec![key; 32]) },
            enrolled_at: NOW,
            push_token_until: NOW,
            dials_from: None,
        }
    }

    fn wanted() -> For {
        let endpoint = Some("bob@example.org".parse().unwrap());
        For { scope: Scope::Address, profile: "p-1".parse().unwrap(), endpoint }
    }

    #[test]
    fn reg_9_credentials_count_for_their_scope_their_device_and_their_time() {
        let phone = device("d-1", 1);
        let (held, row) = issue(&keys("acme"), wanted(), &phone, NOW.after(LIFE), &mut TestRng(1));
        let read = |tenant, scope, device: &Device, now| read(&keys(tenant), &held, scope, device, now);

        assert_eq!(read("acme", Scope::Address, &phone, NOW), Ok(row));
        let refused = Err(ErrorCode::CredentialsRefused);
        assert_eq!(read("acme", Scope::Login, &phone, NOW), refused);
        assert_eq!(read("acme", Scope::Address, &device("d-2", 1), NOW), refused);
        assert_eq!(read("acme", Scope::Address, &device("d-1", 2), NOW), refused);
        assert_eq!(read("other", Scope::Address, &phone, NOW), refused);
        let late = read("acme", Scope::Address, &phone, NOW.after(LIFE));
        assert_eq!(late, Err(ErrorCode::CredentialsExpired));
    }

    #[test]
    fn reg_9_no_byte_of_credentials_can_be_changed() {
        let phone = device("d-1", 1);
        let (held, _) = issue(&keys("acme"), wanted(), &phone, NOW.after(LIFE), &mut TestRng(1));
        for place in 0..held.len() {
            let mut changed = held.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            let read = read(&keys("acme"), &changed, Scope::Address, &phone, NOW);
            // The last character may have bits that say nothing; then it does not decode.
            assert_eq!(read, Err(ErrorCode::CredentialsRefused), "byte {place}");
        }
    }
}
