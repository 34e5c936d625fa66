//! Device keys: who a device is, proven on every connection.
//!
//! The client makes the key and keeps its secret half where the platform guards it; the host stores
//! the public half at enrolment. Proofs are signatures over [`Statement`]s, whose form both sides
//! share here.

use alloc::{string::String, vec::Vec};

use data_encoding::BASE64URL_NOPAD;
use p256::ecdsa::signature::Verifier as _;
use serde::{Deserialize, Serialize, Serializer};

use crate::id::{ApplicationId, DeviceId, PushToken, TenantId};

/// A signature algorithm of device keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// RFC 8032. Public key 32 bytes, signature 64 bytes.
    Ed25519,
    /// FIPS 186-5 with SHA-256. Public key as SEC 1 point, signature r ‖ s, 64 bytes.
    P256,
}

/// The public half of a device key, or a signature: bytes, base64url without padding on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct KeyBytes(pub Vec<u8>);

impl TryFrom<String> for KeyBytes {
    type Error = data_encoding::DecodeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        BASE64URL_NOPAD.decode(text.as_bytes()).map(Self)
    }
}

impl From<KeyBytes> for String {
    fn from(bytes: KeyBytes) -> Self {
        BASE64URL_NOPAD.encode(&bytes.0)
    }
}

impl Serialize for KeyBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64URL_NOPAD.encode(&self.0))
    }
}

/// A device's public key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DeviceKey {
    /// How it signs.
    pub algorithm: Algorithm,
    /// Its public half.
    pub public: KeyBytes,
}

/// The signature does not hold, or key or signature are malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not hold")]
pub struct BadProof;

impl DeviceKey {
    /// Checks a signature over a statement.
    pub fn verify(&self, statement: &Statement<'_>, signature: &KeyBytes) -> Result<(), BadProof> {
        self.verify_bytes(&statement.to_bytes(), signature)
    }

    /// Checks a signature over bytes that are no statement: those of an HTTP request (RFC 9421).
    pub fn verify_bytes(&self, message: &[u8], signature: &KeyBytes) -> Result<(), BadProof> {
        match self.algorithm {
            Algorithm::Ed25519 => {
                let public = <[u8; 32]>::try_from(self.public.0.as_slice()).or(Err(BadProof))?;
                let key = ed25519_dalek::VerifyingKey::from_bytes(&public).or(Err(BadProof))?;
                let signature = ed25519_dalek::Signature::from_slice(&signature.0).or(Err(BadProof))?;
                key.verify_strict(message, &signature).or(Err(BadProof))
            }
            Algorithm::P256 => {
                let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&self.public.0).or(Err(BadProof))?;
                let signature = p256::ecdsa::Signature::from_slice(&signature.0).or(Err(BadProof))?;
                key.verify(message, &signature).or(Err(BadProof))
            }
        }
    }
}

/// What a device key signs.
#[derive(Debug, Clone, Copy)]
pub enum Statement<'a> {
    /// "I hold this key", said once, at enrolment.
    Enrol {
        /// The server's challenge.
        nonce: &'a str,
        /// Where it enrols.
        tenant: &'a TenantId,
        /// For which application.
        application: &'a ApplicationId,
    },
    /// "I am this device", said on each connection.
    Hello {
        /// The server's challenge.
        nonce: &'a str,
        /// Whose device it is.
        tenant: &'a TenantId,
        /// Which device.
        device: &'a DeviceId,
        /// Its present push token.
        push_token: &'a PushToken,
    },
    /// "This is my key for the datagrams of one session", said in invite and accept.
    SessionKey {
        /// Whose device it is.
        tenant: &'a TenantId,
        /// The X25519 public key.
        public: &'a [u8],
    },
}

impl Statement<'_> {
    /// The bytes to sign: a label and each field, each preceded by its length.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (label, fields): (&str, [&[u8]; 4]) = match self {
            Self::Enrol { nonce, tenant, application } => (
                "enrol",
                [nonce.as_bytes(), tenant.as_str().as_bytes(), application.as_str().as_bytes(), b""],
            ),
            Self::Hello { nonce, tenant, device, push_token } => (
                "hello",
                [
                    nonce.as_bytes(),
                    tenant.as_str().as_bytes(),
                    device.as_str().as_bytes(),
                    push_token.as_str().as_bytes(),
                ],
            ),
            Self::SessionKey { tenant, public } => {
                ("session-key", [tenant.as_str().as_bytes(), public, b"", b""])
            }
        };
        let mut bytes = Vec::from(b"switchhook/1/".as_slice());
        for field in core::iter::once(label.as_bytes()).chain(fields) {
            let length = u32::try_from(field.len()).unwrap_or(u32::MAX);
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(field);
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::Signer as _;

    use super::*;

    fn statement() -> (TenantId, ApplicationId) {
        ("acme".parse().unwrap(), "phone".parse().unwrap())
    }

    #[test]
    fn both_algorithms_prove_what_they_signed_and_nothing_else() {
        let (tenant, application) = statement();
        let said = Statement::Enrol { nonce: "n", tenant: &tenant, application: &application };
        let other = Statement::Enrol { nonce: "m", tenant: &tenant, application: &application };

        let secret = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
        let key = DeviceKey {
            algorithm: Algorithm::Ed25519,
            public: KeyBytes(secret.verifying_key().to_bytes().to_vec()),
        };
        let signature = KeyBytes(ed25519_dalek::Signer::sign(&secret, &said.to_bytes()).to_bytes().to_vec());
        assert_eq!(key.verify(&said, &signature), Ok(()));
        assert_eq!(key.verify(&other, &signature), Err(BadProof));

        let secret = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
        let key = DeviceKey {
            algorithm: Algorithm::P256,
            public: KeyBytes(secret.verifying_key().to_sec1_point(false).as_bytes().to_vec()),
        };
        let signature: p256::ecdsa::Signature = secret.sign(&said.to_bytes());
        let signature = KeyBytes(signature.to_bytes().to_vec());
        assert_eq!(key.verify(&said, &signature), Ok(()));
        assert_eq!(key.verify(&other, &signature), Err(BadProof));
    }
}
