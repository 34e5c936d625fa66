//! Endpoint identifiers: what a person is reached by.

use alloc::{borrow::ToOwned as _, string::String, sync::Arc};
use core::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text;

mod mail;

/// Longest identifier, in bytes: that of a mail address (RFC 5321 §4.5.3.1.3).
pub const MAX_ENDPOINT: usize = 254;

/// What a person is reached by: an E.164 number, an e-mail address, or a name of the tenant's.
///
/// What has an `@` is an e-mail address, and is kept in its one spelling: the domain as DNS has it, the local part
/// normalised. So comparing bytes compares identifiers.
///
/// Prints masked. [`Self::reveal`] gives the real thing, for a wire or a query, never for a log.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId(Arc<str>);

/// Why a text is no endpoint identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEndpoint {
    /// Begins with `+` and has not 7 to 15 digits after it (E.164), the first not 0.
    #[error("a phone number is '+' and 7 to 15 digits (E.164)")]
    PhoneNumber,
    /// Has an `@`, and is no e-mail address: a word, `@` and a domain that IDNA allows, of one script a label.
    #[error("an e-mail address is a word, '@' and a domain of letters of one script")]
    MailAddress,
    /// Empty, longer than 254 bytes, or with spaces or control characters.
    #[error("an identifier has 1 to 254 bytes without spaces or control characters")]
    Text,
}

impl EndpointId {
    /// The identifier itself: for a wire or a query, never for a log.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether it is a phone number (E.164).
    pub fn is_phone_number(&self) -> bool {
        self.0.starts_with('+')
    }

    /// Whether it is an e-mail address.
    pub fn is_mail_address(&self) -> bool {
        self.mail_domain().is_some()
    }

    /// The domain of an e-mail address, as DNS has it.
    pub fn mail_domain(&self) -> Option<&str> {
        self.0.rsplit_once('@').map(|(_, domain)| domain)
    }
}

impl TryFrom<String> for EndpointId {
    type Error = InvalidEndpoint;

    fn try_from(text: String) -> Result<Self, InvalidEndpoint> {
        text.parse()
    }
}

impl FromStr for EndpointId {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        if let Some(digits) = text.strip_prefix('+') {
            let e164 = (7..=15).contains(&digits.len())
                && digits.bytes().all(|digit| digit.is_ascii_digit())
                && !digits.starts_with('0');
            return if e164 { Ok(Self(text.into())) } else { Err(InvalidEndpoint::PhoneNumber) };
        }
        let printable = !text.chars().any(|c| c.is_whitespace() || c.is_control());
        if text.is_empty() || text.len() > MAX_ENDPOINT || !printable {
            return Err(InvalidEndpoint::Text);
        }
        if text.contains('@') {
            let address = mail::canonical(text).filter(|address| address.len() <= MAX_ENDPOINT);
            return address.map(|it| Self(it.into())).ok_or(InvalidEndpoint::MailAddress);
        }
        Ok(Self(text.into()))
    }
}

impl From<EndpointId> for String {
    fn from(endpoint: EndpointId) -> Self {
        endpoint.reveal().to_owned()
    }
}

impl Serialize for EndpointId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.reveal())
    }
}

impl<'de> Deserialize<'de> for EndpointId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::read(deserializer)
    }
}

impl fmt::Debug for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Masked: the first two characters and the last two.
impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.chars().count();
        if count < 8 {
            return f.write_str("…");
        }
        self.0.chars().take(2).try_for_each(|c| fmt::Write::write_char(f, c))?;
        f.write_str("…")?;
        self.0.chars().skip(count - 2).try_for_each(|c| fmt::Write::write_char(f, c))
    }
}

/// Whether devices can text to this, and a gateway from it: a phone number with its plus or a short code, of 3 to 15
/// digits.
pub fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or(text);
    (3..=15).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn a_number_is_e164_or_refused() {
        assert!("+15550100".parse::<EndpointId>().unwrap().is_phone_number());
        for wrong in ["+1555010x", "+0155501000", "+123456", "+1234567890123456", "+"] {
            assert_eq!(wrong.parse::<EndpointId>(), Err(InvalidEndpoint::PhoneNumber), "{wrong}");
        }
        assert_eq!("two words".parse::<EndpointId>(), Err(InvalidEndpoint::Text));
    }

    #[test]
    fn what_has_an_at_is_a_mail_address_in_its_one_spelling() {
        let bob: EndpointId = "bob@B\u{fc}cher.example".parse().unwrap();
        assert_eq!(
            (bob.reveal(), bob.mail_domain()),
            ("bob@xn--bcher-kva.example", Some("xn--bcher-kva.example"))
        );
        assert!(bob.is_mail_address() && !bob.is_phone_number());
        assert_eq!("@bob".parse::<EndpointId>(), Err(InvalidEndpoint::MailAddress));
        let long = format!("bob@{}example", "a-label-of-20-letters.".repeat(12));
        assert_eq!(long.parse::<EndpointId>(), Err(InvalidEndpoint::Text));
        assert!(!"bob".parse::<EndpointId>().unwrap().is_mail_address());
    }

    #[test]
    fn an_identifier_prints_masked() {
        let alice: EndpointId = "+15550100".parse().unwrap();
        assert_eq!(format!("{alice} {alice:?}"), "+1…00 +1…00");
        let short: EndpointId = "bob".parse().unwrap();
        assert_eq!(format!("{short}"), "…");
    }

    #[test]
    fn a_number_to_text_is_a_phone_number_or_a_short_code() {
        for number in ["+15550199", "70470", "112", "123456789012345"] {
            assert!(is_number(number), "{number}");
        }
        for wrong in ["", "+", "7", "+1 555", "++1555", "SWITCHHOOK", "1234567890123456"] {
            assert!(!is_number(wrong), "{wrong}");
        }
    }
}
