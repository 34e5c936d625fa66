//! A range of ports in the settings.

use std::{fmt, ops::RangeInclusive};

use serde::{Deserialize, Serialize};

/// Ports from the first to the last, written `49152-65535`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PortRange(RangeInclusive<u16>);

/// A text that is no range of ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a range of ports is first-last, as 49152-65535, and does not begin with 0")]
pub struct NotAPortRange;

impl PortRange {
    /// All ports of it.
    pub(crate) fn ports(&self) -> RangeInclusive<u16> {
        self.0.clone()
    }
}

impl TryFrom<String> for PortRange {
    type Error = NotAPortRange;

    fn try_from(text: String) -> Result<Self, NotAPortRange> {
        let (first, last) = text.split_once('-').ok_or(NotAPortRange)?;
        let port = |digits: &str| digits.parse().or(Err(NotAPortRange));
        let (first, last) = (port(first)?, port(last)?);
        if first == 0 || last < first { Err(NotAPortRange) } else { Ok(Self(first..=last)) }
    }
}

impl From<PortRange> for String {
    fn from(range: PortRange) -> Self {
        range.to_string()
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0.start(), self.0.end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_ports_has_a_first_and_a_last() {
        let range = |text: &str| PortRange::try_from(text.to_owned());
        for (text, ports) in [("49152-65535", 49_152..=65_535), ("5000-5000", 5_000..=5_000)] {
            assert_eq!(range(text), Ok(PortRange(ports)));
            assert_eq!(String::from(range(text).unwrap()), text);
        }
        for wrong in ["", "-", "49152", "49152-", "0-10", "10-9", "1-65536", "1 - 2", "1-2-3"] {
            assert_eq!(range(wrong), Err(NotAPortRange), "{wrong}");
        }
    }
}
