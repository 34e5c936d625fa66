//! Endpoint identifiers: what a person is reached by.

use alloc::string::String;
use core::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What a person is reached by: an E.164 number, an e-mail address, or a name of the tenant's.
///
/// Prints masked. [`Self::reveal`] gives the real thing, for a wire or a query, never for a log.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EndpointId(String);

/// Why a text is no endpoint identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEndpoint {
    /// Begins with `+` and has not 7 to 15 digits after it (E.164), the first not 0.
    #[error("a phone number is '+' and 7 to 15 digits (E.164)")]
    PhoneNumber,
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
}

impl TryFrom<String> for EndpointId {
    type Error = InvalidEndpoint;

    fn try_from(text: String) -> Result<Self, InvalidEndpoint> {
        if let Some(digits) = text.strip_prefix('+') {
            let e164 = (7..=15).contains(&digits.len())
                && digits.bytes().all(|digit| digit.is_ascii_digit())
                && !digits.starts_with('0');
            return if e164 { Ok(Self(text)) } else { Err(InvalidEndpoint::PhoneNumber) };
        }
        let printable = !text.chars().any(|c| c.is_whitespace() || c.is_control());
        if text.is_empty() || text.len() > 254 || !printable {
            return Err(InvalidEndpoint::Text);
        }
        Ok(Self(text))
    }
}

impl FromStr for EndpointId {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        Self::try_from(String::from(text))
    }
}

impl From<EndpointId> for String {
    fn from(endpoint: EndpointId) -> Self {
        endpoint.0
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
    fn an_identifier_prints_masked() {
        let alice: EndpointId = "+15550100".parse().unwrap();
        assert_eq!(format!("{alice} {alice:?}"), "+1…00 +1…00");
        let short: EndpointId = "bob".parse().unwrap();
        assert_eq!(format!("{short}"), "…");
    }
}
