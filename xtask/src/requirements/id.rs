//! Ids of requirements: `INV-6`, or a part of it such as `INV-6.first-accept`.

use std::{fmt, str::FromStr};

use anyhow::{Context as _, Error, Result, ensure};

/// Sorts by family, number and part.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id {
    /// Capital letters.
    pub(crate) family: String,
    /// From one.
    pub(crate) number: u32,
    /// Small letters, digits and hyphens.
    pub(crate) part: Option<String>,
}

impl Id {
    /// The requirement that this is a part of, or the id itself.
    pub(crate) fn whole(&self) -> Self {
        Self { part: None, ..self.clone() }
    }

    /// Whether one is the other, or a part of it.
    pub(crate) fn concerns(&self, other: &Self) -> bool {
        self == other || (self.whole() == other.whole() && (self.part.is_none() || other.part.is_none()))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.family, self.number)?;
        match &self.part {
            Some(part) => write!(formatter, ".{part}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Id {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (whole, part) = text.split_once('.').map_or((text, None), |(whole, part)| (whole, Some(part)));
        let (family, number) = whole.split_once('-').with_context(|| format!("no hyphen in {text:?}"))?;
        ensure!(
            !family.is_empty() && family.chars().all(|c| c.is_ascii_uppercase()),
            "no family of requirements: {text:?}"
        );
        let plain = number.chars().all(|c| c.is_ascii_digit()) && !number.starts_with('0');
        ensure!(plain, "no number of a requirement: {text:?}");
        let named =
            |part: &str| part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        ensure!(
            part.is_none_or(|part| !part.is_empty() && named(part)),
            "no part of a requirement: {text:?}"
        );
        let number = number.parse().with_context(|| format!("no number of a requirement: {text:?}"))?;
        Ok(Self { family: family.to_owned(), number, part: part.map(str::to_owned) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_as_they_print() {
        for text in ["INV-6", "INV-6.first-accept", "REGION-4"] {
            assert_eq!(text.parse::<Id>().unwrap().to_string(), text);
        }
        for text in ["INV", "INV-", "INV-0", "INV-06", "inv-6", "INV-6.", "INV-6.First", "-6", "INV-6a"] {
            assert!(text.parse::<Id>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_part_concerns_its_requirement_and_not_the_other_part() {
        let [whole, first, choose] =
            ["INV-6", "INV-6.first", "INV-6.choose"].map(|id| id.parse::<Id>().unwrap());

        assert!(whole.concerns(&first) && first.concerns(&whole) && first.concerns(&first));
        assert!(!first.concerns(&choose));
    }
}
