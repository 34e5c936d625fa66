//! Numbers as people dial them (REG-10).

use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::endpoint::EndpointId;

/// Where a device's user is, for numbers dialled without a country or an area code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DialsFrom {
    /// The country, by its two letters in ISO 3166-1: `DE`, `US` …
    pub country: String,
    /// The area code, with or without the trunk prefix: 1 to [`MAX_AREA`] digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub area: Option<String>,
}

impl DialsFrom {
    /// Whether country and area have the form of such.
    pub fn is_well_formed(&self) -> bool {
        let country = self.country.len() == 2 && self.country.bytes().all(|byte| byte.is_ascii_uppercase());
        let digits = |area: &String| {
            (1..=MAX_AREA).contains(&area.len()) && area.bytes().all(|byte| byte.is_ascii_digit())
        };
        country && self.area.as_ref().is_none_or(digits)
    }
}

/// `number.complete`: which number is meant by what the user dialled, by where its device says that it is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompleteNumber {
    /// As the user dialled it: at most [`MAX_DIALLED`] bytes.
    pub dialled: String,
}

/// Masked: it is somebody's number.
impl core::fmt::Debug for CompleteNumber {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("CompleteNumber").finish_non_exhaustive()
    }
}

/// Answer to `number.complete`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompletedNumber {
    /// The number, as E.164 has it.
    pub number: EndpointId,
}

/// Longest area code, in digits.
pub const MAX_AREA: usize = 8;

/// Longest dialled number, in bytes: 15 digits with what people put between them.
pub const MAX_DIALLED: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reg_10_a_country_is_two_letters_and_perhaps_digits() {
        let from = |country: &str, area: Option<&str>| DialsFrom {
            country: country.into(),
            area: area.map(Into::into),
        };
        assert!(from("DE", None).is_well_formed() && from("DE", Some("030")).is_well_formed());
        for (country, area) in
            [("de", None), ("DEU", None), ("DE", Some("")), ("DE", Some("30-1")), ("DE", Some("123456789"))]
        {
            assert!(!from(country, area).is_well_formed(), "{country} {area:?}");
        }
    }
}
