//! Signatures over single HTTP requests (RFC 9421), by which a device asks without a socket (INV-16).
//!
//! A device signs with its own key what the request is: its method, its host, its path (which names the
//! tenant and the operation) and the digest of its body (RFC 9530). More may be covered; what is
//! covered is checked. The signature has a time and an end, at most [`LIFE`] apart, and a nonce that
//! its device uses once until then.
//!
//! The bytes that are signed are the signature base (RFC 9421 §2.5): a line for each covered part, in
//! the order of the header, and at last the parameters as the header has them. Whoever parses the
//! headers gives them in here as [`HttpSignature`]; this module decides whether they suffice and puts
//! the base together.

use alloc::{
    format,
    string::{String, ToString as _},
    vec::Vec,
};
use core::time::Duration;

use switchhook_protocol::{
    device_key::{Algorithm, DeviceKey, KeyBytes},
    error::{ErrorBody, ErrorCode},
    id::DeviceId,
    time::Timestamp,
};

/// The digest of the body, as a header.
pub const CONTENT_DIGEST: &str = "content-digest";

/// What every signature covers.
pub const COVERED: [&str; 4] = ["@method", "@authority", "@path", CONTENT_DIGEST];

/// How long a signature counts at most: a request's way through a poor network, with room.
pub const LIFE: Duration = Duration::from_mins(1);

/// How far ahead a device's clock may be; how far behind, [`LIFE`] says.
pub const AHEAD: Duration = Duration::from_mins(2);

/// Characters of a nonce: what nobody meets by chance, and no more than a row should hold.
pub const NONCE: core::ops::RangeInclusive<usize> = 16..=64;

/// Parts that one signature may cover.
pub const MOST_COVERED: usize = 32;

/// A signature, as the headers of a request have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSignature {
    /// Names of the covered parts, in the order of the header.
    pub covered: Vec<String>,
    /// The parameters, in the header's own order and form: the value of `@signature-params`.
    pub params: String,
    /// When it was made, in seconds since 1970.
    pub created: Option<u64>,
    /// Until when it counts, in seconds since 1970.
    pub expires: Option<u64>,
    /// What makes it one of its kind.
    pub nonce: Option<String>,
    /// Whose key made it: a device's id.
    pub key: Option<String>,
    /// How it was made, if the device says so.
    pub algorithm: Option<String>,
    /// The signature's bytes.
    pub signature: Vec<u8>,
}

/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It does not cover this, or lacks this parameter.
    #[error("the signature needs {0}")]
    Incomplete(&'static str),
    /// It covers something that the request has not, or that is not known here.
    #[error("the signature covers {0}, which is not in the request")]
    Uncovered(String),
    /// It covers too much, or the same twice.
    #[error("the signature covers a part twice, or more than {MOST_COVERED}")]
    Excessive,
    /// It is not of this time.
    #[error("the signature is over, not of this time, or lasts longer than {} s", LIFE.as_secs())]
    Expired,
    /// It is not that of this request by this device's key.
    #[error("the signature is not that of this request by this device")]
    Mismatch,
}

impl From<Refused> for ErrorBody {
    fn from(refused: Refused) -> Self {
        let code = match refused {
            Refused::Incomplete(_) | Refused::Uncovered(_) | Refused::Excessive => {
                ErrorCode::SignatureIncomplete
            }
            Refused::Expired => ErrorCode::SignatureExpired,
            Refused::Mismatch => ErrorCode::BadSignature,
        };
        Self { message: refused.to_string(), ..code.into() }
    }
}

/// A signature that has all that it needs and is of this time; whether it holds is the key's to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Who asks, as it says.
    pub device: DeviceId,
    /// What the device may say once.
    pub nonce: String,
    /// Until when the nonce is to be remembered.
    pub expires: Timestamp,
}

impl HttpSignature {
    /// Checks that everything is there and of this time.
    pub fn claim(&self, now: Timestamp) -> Result<Claim, Refused> {
        for part in COVERED {
            if !self.covered.iter().any(|covered| covered == part) {
                return Err(Refused::Incomplete(part));
            }
        }
        self.check_covered()?;
        let created = self.created.ok_or(Refused::Incomplete("created"))?;
        let expires = self.expires.ok_or(Refused::Incomplete("expires"))?;
        let expires = check_time(created, expires, now)?;
        let nonce = self.nonce.clone().filter(|nonce| NONCE.contains(&nonce.len()));
        let nonce = nonce.ok_or(Refused::Incomplete("a nonce of 16 to 64 characters"))?;
        let device = self.key.as_deref().ok_or(Refused::Incomplete("keyid"))?;
        // What is no id is nobody's.
        let device = device.parse().or(Err(Refused::Mismatch))?;
        Ok(Claim { device, nonce, expires })
    }

    fn check_covered(&self) -> Result<(), Refused> {
        let twice = self
            .covered
            .iter()
            .enumerate()
            .any(|(at, part)| self.covered.iter().take(at).any(|it| it == part));
        if twice || self.covered.len() > MOST_COVERED { Err(Refused::Excessive) } else { Ok(()) }
    }

    /// Checks the signature; `part` gives the value of what is covered.
    pub fn verify(&self, key: &DeviceKey, part: impl Fn(&str) -> Option<String>) -> Result<(), Refused> {
        if self.algorithm.as_deref().is_some_and(|said| said != algorithm(key)) {
            return Err(Refused::Mismatch);
        }
        let base = self.base(part)?;
        let signature = KeyBytes(self.signature.clone());
        key.verify_bytes(base.as_bytes(), &signature).or(Err(Refused::Mismatch))
    }

    /// The signature base (RFC 9421 §2.5).
    fn base(&self, part: impl Fn(&str) -> Option<String>) -> Result<String, Refused> {
        let line = |name: &String| {
            let value = part(name).ok_or_else(|| Refused::Uncovered(name.clone()))?;
            Ok(format!("\"{name}\": {value}\n"))
        };
        let lines: String = self.covered.iter().map(line).collect::<Result<_, Refused>>()?;
        Ok(format!("{lines}\"@signature-params\": {}", self.params))
    }
}

fn check_time(created: u64, expires: u64, now: Timestamp) -> Result<Timestamp, Refused> {
    let [created, expires] =
        [created, expires].map(|seconds| Timestamp::from_millis(seconds.saturating_mul(1000)));
    let lasts = created < expires && created.until(expires) <= LIFE;
    let counts = now <= expires && created <= now.after(AHEAD);
    if lasts && counts { Ok(expires) } else { Err(Refused::Expired) }
}

/// The name of a key's algorithm (RFC 9421 §6.2.2).
const fn algorithm(key: &DeviceKey) -> &'static str {
    match key.algorithm {
        Algorithm::Ed25519 => "ed25519",
        Algorithm::P256 => "ecdsa-p256-sha256",
    }
}

#[cfg(test)]
mod tests {
    use alloc::{borrow::ToOwned as _, vec};

    use ed25519_dalek::{Signer as _, SigningKey};

    use super::*;

    /// RFC 9421 §B.2.6, with what it covers and says: the only one of its examples by a key of a kind that
    /// devices have.
    #[test]
    fn the_signature_of_the_standards_example_holds_and_no_changed_one() {
        let public = "26b40b8f93fff3d897112f7ebc582b232dbd72517d082fe83cfb30ddce43d1bb";
        let key = DeviceKey {
            algorithm: Algorithm::Ed25519,
            public: KeyBytes(data_encoding::HEXLOWER.decode(public.as_bytes()).unwrap()),
        };
        let signature =
            "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==";
        let covered = ["date", "@method", "@path", "@authority", "content-type", "content-length"];
        let example = HttpSignature {
            covered: covered.map(str::to_owned).to_vec(),
            params: r#"("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519""#.to_owned(),
            created: Some(1_618_884_473),
            expires: None,
            nonce: None,
            key: Some("test-key-ed25519".to_owned()),
            algorithm: None,
            signature: data_encoding::BASE64.decode(signature.as_bytes()).unwrap(),
        };
        let part = |name: &str| {
            let value = match name {
                "date" => "Tue, 20 Apr 2021 02:07:55 GMT",
                "@method" => "POST",
                "@path" => "/foo",
                "@authority" => "example.com",
                "content-type" => "application/json",
                "content-length" => "18",
                _ => return None,
            };
            Some(value.to_owned())
        };

        assert_eq!(example.verify(&key, part), Ok(()));

        for changed in covered {
            let other = |name: &str| if name == changed { Some("x".to_owned()) } else { part(name) };
            assert_eq!(example.verify(&key, other), Err(Refused::Mismatch), "{changed}");
            let without = |name: &str| if name == changed { None } else { part(name) };
            assert_eq!(example.verify(&key, without), Err(Refused::Uncovered(changed.to_owned())));
        }
        let said = HttpSignature { params: example.params.replace("73", "74"), ..example.clone() };
        assert_eq!(said.verify(&key, part), Err(Refused::Mismatch));
        let another = HttpSignature { algorithm: Some("ecdsa-p256-sha256".to_owned()), ..example };
        assert_eq!(another.verify(&key, part), Err(Refused::Mismatch));
    }

    #[test]
    fn what_a_signature_lacks_is_named() {
        let all = complete();
        assert_eq!(all.claim(at(1000)).unwrap().nonce, "0123456789abcdef");
        for part in COVERED {
            let covered = all.covered.iter().filter(|covered| *covered != part).cloned().collect();
            let without = HttpSignature { covered, ..all.clone() };
            assert_eq!(without.claim(at(1000)), Err(Refused::Incomplete(part)));
        }
        let short = Some("0123456789abcde".to_owned());
        let lacking = [
            HttpSignature { created: None, ..all.clone() },
            HttpSignature { expires: None, ..all.clone() },
            HttpSignature { nonce: None, ..all.clone() },
            HttpSignature { nonce: short, ..all.clone() },
            HttpSignature { key: None, ..all.clone() },
        ];
        for signature in lacking {
            assert!(matches!(signature.claim(at(1000)), Err(Refused::Incomplete(_))), "{signature:?}");
        }
        let mut twice = all;
        twice.covered.push("@method".to_owned());
        assert_eq!(twice.claim(at(1000)), Err(Refused::Excessive));
    }

    #[test]
    fn a_signature_counts_from_a_little_before_its_time_until_its_end() {
        let (made, over) = (1000, 1060);
        let claimed = |signature: &HttpSignature, now| signature.claim(at(now)).map(|claim| claim.expires);
        let lasting =
            |created, expires| HttpSignature { created: Some(created), expires: Some(expires), ..complete() };
        assert_eq!(claimed(&lasting(made, over), made - AHEAD.as_secs()), Ok(at(over)));
        assert_eq!(claimed(&lasting(made, over), made - AHEAD.as_secs() - 1), Err(Refused::Expired));
        assert_eq!(claimed(&lasting(made, over), over), Ok(at(over)));
        assert_eq!(claimed(&lasting(made, over), over + 1), Err(Refused::Expired));
        assert_eq!(claimed(&lasting(made, over + 1), made), Err(Refused::Expired), "it lasts too long");
        assert_eq!(claimed(&lasting(made, made), made), Err(Refused::Expired), "it ends as it begins");
        assert_eq!(claimed(&lasting(made, u64::MAX), made), Err(Refused::Expired));
    }

    #[test]
    fn both_kinds_of_device_keys_sign_requests() {
        let signature = complete();
        let part = |name: &str| Some(name.to_uppercase());
        let base = signature.base(part).unwrap();
        let secret = SigningKey::from_bytes(&[7; 32]);
        let key = DeviceKey {
            algorithm: Algorithm::Ed25519,
            public: KeyBytes(secret.verifying_key().to_bytes().to_vec()),
        };
        let signed = HttpSignature {
            signature: secret.sign(base.as_bytes()).to_bytes().to_vec(),
            ..signature.clone()
        };
        assert_eq!(signed.verify(&key, part), Ok(()));

        let secret = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
        let public = secret.verifying_key().to_sec1_point(false).as_bytes().to_vec();
        let key = DeviceKey { algorithm: Algorithm::P256, public: KeyBytes(public) };
        let made: p256::ecdsa::Signature = p256::ecdsa::signature::Signer::sign(&secret, base.as_bytes());
        let signed = HttpSignature { signature: made.to_bytes().to_vec(), ..signature };
        assert_eq!(signed.verify(&key, part), Ok(()));
    }

    fn complete() -> HttpSignature {
        HttpSignature {
            covered: COVERED.map(str::to_owned).to_vec(),
            params: String::new(),
            created: Some(1000),
            expires: Some(1060),
            nonce: Some("0123456789abcdef".to_owned()),
            key: Some("phone".to_owned()),
            algorithm: None,
            signature: vec![],
        }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }
}
