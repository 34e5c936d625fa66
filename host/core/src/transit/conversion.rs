//! How texts have lately fared, and by which beginnings of numbers that is counted.
//!
//! Gateways are compared by country ([`calling_code`]). Who is paid for texts that nobody reads rents numbers by the
//! block, so that plugins are told of a finer beginning ([`prefix`]): an area's or a carrier's, never a person's.

use serde::{Deserialize, Serialize};
use switchhook_protocol::endpoint::EndpointId;

/// How texts have lately fared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Conversion {
    /// How many were handed to a gateway, whatever it made of them.
    pub sent: u32,
    /// Of how many a gateway's receipt said that they arrived; of gateways without receipts, none.
    pub delivered: u32,
    /// How many were followed by the proof that they carried.
    pub proven: u32,
}

/// Digits behind the calling code that tell areas and carriers apart.
const AREA: usize = 3;

/// Digits at a number's end that no beginning holds, however short the number is.
const OWN: usize = 4;

/// The calling code of a number, with its plus (ITU-T E.164); none of what is no number.
pub fn calling_code(number: &EndpointId) -> Option<&str> {
    let number = number.reveal();
    let digits = number.strip_prefix('+')?;
    let length = match digits.as_bytes() {
        [b'1' | b'7', ..] => 1,
        [b'2', b'0' | b'7', ..]
        | [b'3', b'0'..=b'4' | b'6' | b'9', ..]
        | [b'4', b'0' | b'1' | b'3'..=b'9', ..]
        | [b'5', b'1'..=b'8', ..]
        | [b'6', b'0'..=b'6', ..]
        | [b'8', b'1' | b'2' | b'4' | b'6', ..]
        | [b'9', b'0'..=b'5' | b'8', ..] => 2,
        _ => 3,
    };
    number.get(..=length)
}

/// The beginning of a number that its conversion is counted by: calling code and three digits, less where fewer than
/// four would remain; none of what is no number.
pub fn prefix(number: &EndpointId) -> Option<&str> {
    let code = calling_code(number)?.len();
    let number = number.reveal();
    let most = number.len().saturating_sub(OWN);
    number.get(..(code + AREA).min(most).max(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_calling_code() {
        for (number, code) in [
            ("+15550100", "+1"),
            ("+79161234567", "+7"),
            ("+4915112345678", "+49"),
            ("+420601123456", "+420"),
            ("+35312345678", "+353"),
            ("+8613912345678", "+86"),
            ("+998901234567", "+998"),
            ("+27821234567", "+27"),
        ] {
            assert_eq!(calling_code(&number.parse().unwrap()), Some(code));
        }
        assert_eq!(calling_code(&"bob".parse().unwrap()), None);
    }

    #[test]
    fn a_beginning_that_is_counted_names_an_area_and_nobody() {
        for (number, beginning) in [
            ("+4915112345678", "+49151"),
            ("+16175550100", "+1617"),
            ("+998901234567", "+998901"),
            // Saint Helena's numbers have five digits.
            ("+29022222", "+2902"),
        ] {
            assert_eq!(prefix(&number.parse().unwrap()), Some(beginning));
        }
        assert_eq!(prefix(&"bob@example.com".parse().unwrap()), None);
    }
}
