//! Whom a tenant texts, and how much of it in a day.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};
use switchhook_protocol::endpoint::EndpointId;

use super::configuration::{InvalidGateway, check_serves};

/// What a tenant lets its texts cost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextPolicy {
    /// Short messages of one day (UTC); none: as many as are asked for.
    #[serde(default)]
    pub per_day: Option<u32>,
    /// Beginnings of the numbers that are texted, each with its plus; none: all.
    #[serde(default)]
    pub countries: Vec<String>,
    /// Whether typed numbers are texted only if the numbering plan of their country has such numbers.
    #[serde(default)]
    pub only_valid: bool,
}

impl TextPolicy {
    /// Names a rule that it breaks.
    pub fn check(&self) -> Result<(), InvalidGateway> {
        check_serves(&self.countries)
    }

    /// Whether this number may be texted.
    pub fn allows(&self, to: &EndpointId) -> bool {
        let begins = |prefix: &String| to.reveal().starts_with(prefix.as_str());
        self.countries.is_empty() || self.countries.iter().any(begins)
    }
}

#[cfg(test)]
mod tests {
    use alloc::{borrow::ToOwned as _, vec};

    use super::*;

    #[test]
    fn only_numbers_of_the_countries_that_are_named_are_texted() {
        let all = TextPolicy::default();
        let some = TextPolicy { countries: vec!["+1".to_owned(), "+49".to_owned()], ..TextPolicy::default() };
        for (number, allowed) in [("+15550100", true), ("+4915112345678", true), ("+37060012345", false)] {
            let number = number.parse().unwrap();
            assert!(all.allows(&number));
            assert_eq!(some.allows(&number), allowed, "{number}");
        }
    }
}
