//! Long-term credentials, as a relay asks for them (RFC 8489 §9.2).
//!
//! The first request goes without any; the relay's refusal brings realm and nonce, and says which password algorithms it
//! takes: of those SHA-256 or MD5, whichever it names first. What it offered is repeated in every request, so that
//! nobody on the way takes the better ones away. A nonce that is too old, or is of another address, brings the next.

use data_encoding::BASE64;
use stun_types::{
    attribute::{AttributeStaticType as _, Nonce, PasswordAlgorithm, PasswordAlgorithms, Realm, Username},
    message::{
        IntegrityAlgorithm, IntegrityKey, LongTermKeyCredentials, Message, MessageWriteExt as _,
        MessageWriteVec,
    },
};

use super::wire::{add, code, error_code, value};

/// See the module. It has no form to print: the password is in it.
pub(super) struct Login {
    username: String,
    password: String,
    challenge: Option<Challenge>,
}

/// What the relay wants to see again, and what is signed with.
struct Challenge {
    realm: String,
    nonce: Vec<u8>,
    /// Its password algorithms as it wrote them, and the one that is used.
    algorithms: Option<(Vec<u8>, IntegrityAlgorithm)>,
    key: IntegrityKey,
}

/// In front of a nonce whose next four letters say what its server can (RFC 8489 §9.2).
const COOKIE: &[u8] = b"obMatJos2";

impl Login {
    pub(super) const fn new(username: String, password: String) -> Self {
        Self { username, password, challenge: None }
    }

    /// Takes what a refusal brings to sign with; false if it brings nothing new, so that asking again is in vain.
    pub(super) fn learn(&mut self, refusal: &Message<'_>) -> bool {
        let Some(next) = self.read(refusal) else { return false };
        let is_stale = error_code(refusal) == Some(code::STALE_NONCE);
        let is_new = |former: &Challenge| former.nonce != next.nonce || former.realm != next.realm;
        // Credentials that were shown under a nonce which counts are refused for good.
        let goes_on = self.challenge.as_ref().is_none_or(|former| is_stale && is_new(former));
        if goes_on {
            self.challenge = Some(next);
        }
        goes_on
    }

    fn read(&self, refusal: &Message<'_>) -> Option<Challenge> {
        let realm = String::from_utf8(value(refusal, Realm::TYPE)?).ok()?;
        let nonce = value(refusal, Nonce::TYPE)?;
        let offered = value(refusal, PasswordAlgorithms::TYPE);
        if offered.is_none() && promises_algorithms(&nonce) {
            return None;
        }
        let algorithms = match offered {
            Some(offered) => {
                let chosen = choose(&offered)?;
                Some((offered, chosen))
            }
            None => None,
        };
        let algorithm = algorithms.as_ref().map_or(IntegrityAlgorithm::Sha1, |(_, chosen)| *chosen);
        let credentials =
            LongTermKeyCredentials::new(self.username.clone(), self.password.clone(), realm.clone());
        Some(Challenge { realm, nonce, algorithms, key: credentials.make_key(algorithm) })
    }

    /// Signs a request, once it is known how.
    pub(super) fn sign(&self, message: &mut MessageWriteVec) -> Option<()> {
        let Some(challenge) = &self.challenge else { return Some(()) };
        add(message, Username::TYPE, self.username.as_bytes())?;
        add(message, Realm::TYPE, challenge.realm.as_bytes())?;
        add(message, Nonce::TYPE, &challenge.nonce)?;
        if let Some((offered, chosen)) = &challenge.algorithms {
            add(message, PasswordAlgorithms::TYPE, offered)?;
            add(message, PasswordAlgorithm::TYPE, &number(*chosen))?;
        }
        message.add_message_integrity_with_key(&challenge.key, challenge.algorithm()).ok()
    }

    /// Whether an answer is of somebody who knows the password.
    pub(super) fn is_authentic(&self, answer: &Message<'_>) -> bool {
        let validated = self.challenge.as_ref().map(|it| answer.validate_integrity_with_key(&it.key));
        matches!(validated, Some(Ok(_)))
    }
}

impl Challenge {
    fn algorithm(&self) -> IntegrityAlgorithm {
        self.algorithms.as_ref().map_or(IntegrityAlgorithm::Sha1, |(_, chosen)| *chosen)
    }
}

/// Whether a nonce says that password algorithms come with it. The bit is the first of 24 by the text of RFC 8489 §18.1,
/// and the last by the order of its example.
fn promises_algorithms(nonce: &[u8]) -> bool {
    let letters = nonce.strip_prefix(COOKIE).and_then(|rest| rest.first_chunk::<4>());
    let features = letters.and_then(|letters| BASE64.decode(letters).ok());
    features.is_some_and(|features| {
        features.first().is_some_and(|first| first & 0x80 != 0)
            || features.last().is_some_and(|last| last & 1 != 0)
    })
}

/// The first of the algorithms that this client knows: those without parameters (RFC 8489 §18.5).
fn choose(offered: &[u8]) -> Option<IntegrityAlgorithm> {
    let mut left = offered;
    while let Some((head, rest)) = left.split_first_chunk() {
        match *head {
            [0, 1, 0, 0] => return Some(IntegrityAlgorithm::Sha1),
            [0, 2, 0, 0] => return Some(IntegrityAlgorithm::Sha256),
            [_, _, high, low] => {
                let parameters = usize::from(u16::from_be_bytes([high, low])).next_multiple_of(4);
                left = rest.get(parameters..)?;
            }
        }
    }
    None
}

/// As PASSWORD-ALGORITHM says it: keys of MD5 go with integrity of SHA-1.
const fn number(algorithm: IntegrityAlgorithm) -> [u8; 4] {
    match algorithm {
        IntegrityAlgorithm::Sha1 => [0, 1, 0, 0],
        IntegrityAlgorithm::Sha256 => [0, 2, 0, 0],
    }
}

#[cfg(test)]
mod tests {
    use stun_types::{
        attribute::ErrorCode,
        message::{MessageClass, MessageWrite as _},
    };

    use super::*;
    use crate::{relay::wire::REFRESH, stun::begin_of};

    fn refusal(code: u16, nonce: &str, algorithms: Option<&[u8]>) -> Vec<u8> {
        let mut message = begin_of(MessageClass::Error, REFRESH, 7);
        message.add_attribute(&ErrorCode::builder(code).build().unwrap()).unwrap();
        add(&mut message, Realm::TYPE, b"relay.example").unwrap();
        add(&mut message, Nonce::TYPE, nonce.as_bytes()).unwrap();
        if let Some(algorithms) = algorithms {
            add(&mut message, PasswordAlgorithms::TYPE, algorithms).unwrap();
        }
        message.finish()
    }

    fn learn(login: &mut Login, refusal: &[u8]) -> bool {
        login.learn(&Message::from_bytes(refusal).unwrap())
    }

    fn login() -> Login {
        Login::new("user".to_owned(), "password".to_owned())
    }

    #[test]
    fn rel_3_who_is_refused_under_a_nonce_that_counts_asks_no_more() {
        let mut login = login();
        assert!(learn(&mut login, &refusal(401, "one", None)));
        assert!(!learn(&mut login, &refusal(401, "one", None)));
        assert!(!learn(&mut login, &refusal(401, "two", None)));
        assert!(learn(&mut login, &refusal(438, "two", None)), "it was too old");
        assert!(!learn(&mut login, &refusal(438, "two", None)), "the same again helps nobody");
    }

    #[test]
    fn rel_3_the_relays_first_algorithm_that_is_known_is_used_and_what_it_offers_is_repeated() {
        let offered: [u8; 16] = [0, 9, 0, 3, 1, 1, 1, 0, 0, 2, 0, 0, 0, 1, 0, 0];
        let mut login = login();
        assert!(learn(&mut login, &refusal(401, "obMatJos2gAAAnonce", Some(&offered))));
        let mut request = begin_of(MessageClass::Request, REFRESH, 8);
        login.sign(&mut request).unwrap();
        let request = request.finish();
        let request = Message::from_bytes(&request).unwrap();
        assert_eq!(value(&request, PasswordAlgorithms::TYPE).unwrap(), offered);
        assert_eq!(value(&request, PasswordAlgorithm::TYPE).unwrap(), [0, 2, 0, 0]);
        assert!(login.is_authentic(&request));
        let key = LongTermKeyCredentials::new("user".into(), "password".into(), "relay.example".into());
        let key = key.make_key(IntegrityAlgorithm::Sha256);
        assert!(matches!(request.validate_integrity_with_key(&key), Ok(IntegrityAlgorithm::Sha256)));
    }

    #[test]
    fn rel_3_algorithms_that_are_promised_and_taken_away_are_no_challenge() {
        for nonce in ["obMatJos2gAAAnonce", "obMatJos2AAABnonce"] {
            assert!(!learn(&mut login(), &refusal(401, nonce, None)), "{nonce}");
        }
        for nonce in ["obMatJos2AAAAnonce", "obMatJos2", "gAAAnonce"] {
            assert!(learn(&mut login(), &refusal(401, nonce, None)), "{nonce}");
        }
        assert!(!learn(&mut login(), &refusal(401, "nonce", Some(&[0, 9, 0, 0]))), "none that is known");
        assert!(!learn(&mut login(), &refusal(401, "nonce", Some(&[0, 9, 0, 9]))), "cut off");
    }
}
