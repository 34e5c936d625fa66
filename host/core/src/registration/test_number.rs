//! Numbers of a tenant that are nobody's: their code is fixed, and no text is sent to them.
//!
//! For tests of an application, also by whoever reviews it for a shop. A number that is somebody's must never be
//! one by accident, since its code would be known: only ranges are taken that regulators keep for fiction, or that
//! no country has.

use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Serialize};
use switchhook_protocol::endpoint::EndpointId;

/// Most test numbers of a tenant: it is looked through at each text.
pub const MAX_TEST_NUMBERS: usize = 100;

/// Beginnings of numbers that nobody has, with all digits of such a number.
///
/// ITU-T: no country has 999. North America: no area has 555. Ofcom: numbers for drama. Arcep: numbers for
/// audiovisual works. Bundesnetzagentur: numbers for media productions.
const NOBODYS: [(&str, usize); 7] = [
    ("+999", 0),
    ("+1555", 0),
    ("+441632960", 12),
    ("+447700900", 12),
    ("+442079460", 12),
    ("+3363998", 11),
    ("+493023125", 12),
];

/// A number with its code.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestNumber {
    /// The number.
    pub number: EndpointId,
    /// What proves it: 6 to 8 digits.
    pub code: String,
}

/// Masked: the code is one.
impl fmt::Debug for TestNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestNumber").field("number", &self.number).finish_non_exhaustive()
    }
}

/// Why a list of test numbers does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTestNumbers {
    /// More than [`MAX_TEST_NUMBERS`].
    #[error("more than {MAX_TEST_NUMBERS} numbers")]
    TooMany,
    /// It may be somebody's.
    #[error(
        "{0} may be somebody's: take one that its country keeps for fiction, such as +1 212 555 0100 or +999 …"
    )]
    Somebodys(EndpointId),
    /// A code is not 6 to 8 digits.
    #[error("the code of {0} is not 6 to 8 digits")]
    Code(EndpointId),
    /// A number is there twice.
    #[error("{0} is there twice")]
    Twice(EndpointId),
}

/// Names the first number that does not count.
pub fn check(numbers: &[TestNumber]) -> Result<(), InvalidTestNumbers> {
    if numbers.len() > MAX_TEST_NUMBERS {
        return Err(InvalidTestNumbers::TooMany);
    }
    for (position, TestNumber { number, code }) in numbers.iter().enumerate() {
        if !is_nobodys(number) {
            return Err(InvalidTestNumbers::Somebodys(number.clone()));
        }
        if !(6..=8).contains(&code.len()) || !code.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(InvalidTestNumbers::Code(number.clone()));
        }
        if numbers.iter().take(position).any(|other| other.number == *number) {
            return Err(InvalidTestNumbers::Twice(number.clone()));
        }
    }
    Ok(())
}

/// The code of a number, if it is a test number.
pub fn code_of<'a>(numbers: &'a [TestNumber], number: &EndpointId) -> Option<&'a str> {
    numbers.iter().find(|test| test.number == *number).map(|test| test.code.as_str())
}

fn is_nobodys(number: &EndpointId) -> bool {
    let number = number.reveal();
    let kept = |(beginning, length): &(&str, usize)| {
        number.starts_with(beginning) && (*length == 0 || number.len() == length + 1)
    };
    NOBODYS.iter().any(kept) || is_fiction_of_north_america(number)
}

/// 555-0100 to 555-0199 of any area.
fn is_fiction_of_north_america(number: &str) -> bool {
    number.len() == 12 && number.starts_with("+1") && number.get(5..10) == Some("55501")
}

#[cfg(test)]
mod tests {
    use alloc::{borrow::ToOwned as _, vec};

    use super::*;

    fn test(number: &str, code: &str) -> TestNumber {
        TestNumber { number: number.parse().unwrap(), code: code.to_owned() }
    }

    #[test]
    fn numbers_that_are_kept_for_fiction_may_be_test_numbers() {
        for fine in
            ["+12125550100", "+15550100", "+99912345678", "+447700900123", "+33639981234", "+493023125001"]
        {
            assert_eq!(check(&[test(fine, "123456")]), Ok(()), "{fine}");
        }
    }

    #[test]
    fn a_number_that_may_be_somebodys_is_none() {
        for real in [
            "+12125550200",
            "+12125551234",
            "+4930231250",
            "+447700901123",
            "+4915112345678",
            "alice@example.com",
        ] {
            let number = real.parse().unwrap();
            assert_eq!(check(&[test(real, "123456")]), Err(InvalidTestNumbers::Somebodys(number)), "{real}");
        }
    }

    #[test]
    fn a_list_is_short_and_each_number_has_one_code_of_digits() {
        let (one, number) = (test("+15550100", "123456"), "+15550100".parse().unwrap());
        assert_eq!(check(&vec![one.clone(); 101]), Err(InvalidTestNumbers::TooMany));
        assert_eq!(check(&[one.clone(), one.clone()]), Err(InvalidTestNumbers::Twice(number)));
        for wrong in ["12345", "123456789", "12345x", ""] {
            let number = "+15550100".parse().unwrap();
            assert_eq!(check(&[test("+15550100", wrong)]), Err(InvalidTestNumbers::Code(number)), "{wrong}");
        }
        assert_eq!(code_of(&[one], &"+15550100".parse().unwrap()), Some("123456"));
    }
}
