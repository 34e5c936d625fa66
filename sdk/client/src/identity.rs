//! Who this device is: its key, what the host minted for it, and what it registered.
//!
//! The application stores an [`Identity`] where its platform guards secrets, before it says anything
//! under it; a lost key means to enrol and register anew. [`serde`] gives it a form to store.

use core::fmt;

use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::{Signer as _, SigningKey};
use rand::CryptoRng;
use serde::{Deserialize, Serialize};
use switchhook_protocol::{
    carrier::CarrierBundle,
    device_key::{Algorithm, DeviceKey as PublicKey, KeyBytes, Statement},
    endpoint::EndpointId,
    id::{DeviceId, PushToken},
};
use zeroize::{Zeroize as _, Zeroizing};

/// The secret half of a device's key (Ed25519).
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct DeviceKey(SigningKey);

/// What the application stores durably.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Identity {
    /// The device's key.
    pub key: DeviceKey,
    /// The device's id, minted by the host.
    pub device: DeviceId,
    /// The present push token, minted by the host.
    pub push_token: PushToken,
    /// Registrations by SMS, by number.
    #[serde(default)]
    pub registrations: Vec<Registration>,
    /// Which number to text, by the SIM ([`carriers`](crate::carriers)): no secret, and the same for every device of the
    /// tenant.
    #[serde(default)]
    pub carriers: CarrierBundle,
}

/// A registration by SMS: what `register.validate` needs, each time it is said.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The device's own number, as the SMS told it.
    pub number: EndpointId,
    /// The push token that the device's SMS held.
    pub push_token: PushToken,
    /// The device id that the device's SMS held.
    pub device: DeviceId,
    /// The signature, as the SMS told it.
    pub signature: String,
    /// Whether the host has confirmed it.
    pub confirmed: bool,
}

impl DeviceKey {
    /// Makes a key.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        rng.fill_bytes(secret.as_mut_slice());
        Self(SigningKey::from_bytes(&secret))
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        let public = KeyBytes(self.0.verifying_key().to_bytes().to_vec());
        PublicKey { algorithm: Algorithm::Ed25519, public }
    }

    /// Signs a statement.
    pub fn sign(&self, statement: &Statement<'_>) -> KeyBytes {
        KeyBytes(self.0.sign(&statement.to_bytes()).to_bytes().to_vec())
    }
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceKey(…)")
    }
}

/// The signature is a secret until it is used.
impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut form = f.debug_struct("Registration");
        form.field("number", &self.number).field("confirmed", &self.confirmed).finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Stored(String);

impl Drop for Stored {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// The stored key is not 32 bytes in base64url.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a device key is 32 bytes in base64url")]
pub struct InvalidKey;

impl TryFrom<Stored> for DeviceKey {
    type Error = InvalidKey;

    fn try_from(stored: Stored) -> Result<Self, InvalidKey> {
        let bytes = BASE64URL_NOPAD.decode(stored.0.as_bytes()).or(Err(InvalidKey))?;
        let bytes = Zeroizing::new(bytes);
        let secret = <&[u8; 32]>::try_from(bytes.as_slice()).or(Err(InvalidKey))?;
        Ok(Self(SigningKey::from_bytes(secret)))
    }
}

impl From<DeviceKey> for Stored {
    fn from(key: DeviceKey) -> Self {
        let secret = Zeroizing::new(key.0.to_bytes());
        Self(BASE64URL_NOPAD.encode(secret.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_survives_its_store_and_prints_no_secret() {
        let identity = Identity {
            key: DeviceKey::generate(&mut rand::rng()),
            device: "d1".parse().unwrap(),
            push_token: "t0ken".parse().unwrap(),
            registrations: vec![Registration {
                number: "+15550100".parse().unwrap(),
                push_token: "t0ken".parse().unwrap(),
                device: "d1".parse().unwrap(),
                signature: "S1GNATURE".into(),
                confirmed: true,
            }],
            carriers: CarrierBundle::default(),
        };
        let stored = serde_json::to_string(&identity).unwrap();
        let read: Identity = serde_json::from_str(&stored).unwrap();
        assert_eq!(read.key.public(), identity.key.public());
        assert_eq!(read.registrations, identity.registrations);

        let printed = format!("{identity:?}");
        for secret in ["t0ken", "S1GNATURE", "15550100"] {
            assert!(!printed.contains(secret), "{printed}");
        }
    }

    #[test]
    fn reg_15_an_identity_from_before_the_bundle_was_kept_is_read() {
        let key = serde_json::to_value(DeviceKey::generate(&mut rand::rng())).unwrap();
        let stored = serde_json::json!({ "key": key, "device": "d1", "push_token": "t0ken" });
        let read: Identity = serde_json::from_value(stored).unwrap();
        assert_eq!(read.carriers, CarrierBundle::default());
    }

    #[test]
    fn a_damaged_key_is_refused() {
        assert!(serde_json::from_str::<DeviceKey>("\"AAAA\"").is_err());
    }
}
