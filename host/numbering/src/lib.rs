//! Numbers as people dial them, completed to E.164 (REG-10).
//!
//! A number is read by the dialling rules of the country that a device's user is in:
//! 1. with `+` or the country's prefix for calls abroad (`00`, `011` …) it names its country itself;
//! 2. with the country's trunk prefix (`0` in most) it has its area code;
//! 3. otherwise it is one of the user's own area, if the user has named one and that makes a number;
//! 4. otherwise it is whole but for the country.
//!
//! A number counts only if the country's numbering plan, as of the library's tables, has such numbers.

use rlibphonenumber::{
    PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat, Region as Country,
    get_national_significant_number_owned,
};
use switchhook_protocol::{
    endpoint::EndpointId,
    number::{DialsFrom, MAX_DIALLED},
};

/// Why a dialled number is not completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Incomplete {
    /// The country is none of ISO 3166 that has a numbering plan.
    #[error("the country has no numbering plan here")]
    UnknownCountry,
    /// It names no country itself, and the device has not said where it is.
    #[error("the number names no country, and neither did the device")]
    NoCountry,
    /// No number of the country that it leads to looks like this.
    #[error("no number of the country looks like this")]
    NotANumber,
}

/// Whether numbers dialled there can be completed.
pub fn check(from: &DialsFrom) -> Result<(), Incomplete> {
    country(from).map(drop)
}

/// The number that is meant by what was dialled there; without a place only numbers that name their country are.
pub fn complete(from: Option<&DialsFrom>, dialled: &str) -> Result<EndpointId, Incomplete> {
    if dialled.len() > MAX_DIALLED {
        return Err(Incomplete::NotANumber);
    }
    let Some(from) = from else {
        return if names_its_country(dialled) { valid(dialled, None) } else { Err(Incomplete::NoCountry) };
    };
    let country = country(from)?;
    if let Some(area) = from.area.as_deref().filter(|_| is_local(country, dialled)) {
        let with_area = valid(&format!("{area}{}", digits(dialled)), Some(country));
        if with_area.is_ok() {
            return with_area;
        }
    }
    valid(dialled, Some(country))
}

/// Whether the numbering plan of a number's country has such numbers.
pub fn is_valid(number: &EndpointId) -> bool {
    valid(number.reveal(), None).is_ok()
}

/// Whether a number as people type it abroad is written as its country's plan writes it: no prefix of calls inside of the
/// country is left in (`+49 (0)30 …`), and it is neither too long nor too short.
///
/// Whether there are such numbers is not asked: plans get new ones before the library's tables do. Of a country that the
/// tables do not know, nothing is known against a number.
pub fn is_possible(number: &EndpointId) -> bool {
    let Ok(read) = PHONE_NUMBER_UTIL.parse(number.reveal(), None) else { return true };
    PHONE_NUMBER_UTIL.is_possible_number(&read)
        && PHONE_NUMBER_UTIL.format(&read, PhoneNumberFormat::E164) == number.reveal()
}

/// Whether it has neither a prefix for calls abroad nor one for calls out of the area: none is left out when it is read.
fn is_local(country: Country, dialled: &str) -> bool {
    let read = PHONE_NUMBER_UTIL.parse(dialled, Some(country)).ok();
    let whole = |number: PhoneNumber| get_national_significant_number_owned(&number) == digits(dialled);
    !names_its_country(dialled) && read.is_none_or(whole)
}

fn names_its_country(dialled: &str) -> bool {
    dialled.trim_start().starts_with(['+', '\u{ff0b}'])
}

fn digits(dialled: &str) -> String {
    PHONE_NUMBER_UTIL.normalize_digits_only(dialled)
}

fn valid(dialled: &str, country: Option<Country>) -> Result<EndpointId, Incomplete> {
    let not_a_number = Incomplete::NotANumber;
    // Letters stand for digits on old telephones; here they are a name or a mistake.
    if dialled.chars().any(char::is_alphabetic) {
        return Err(not_a_number);
    }
    let number: PhoneNumber = PHONE_NUMBER_UTIL.parse(dialled, country).or(Err(not_a_number))?;
    if !PHONE_NUMBER_UTIL.is_valid_number(&number) {
        return Err(not_a_number);
    }
    PHONE_NUMBER_UTIL.format(&number, PhoneNumberFormat::E164).parse().or(Err(not_a_number))
}

fn country(from: &DialsFrom) -> Result<Country, Incomplete> {
    let country = from.country.as_str().parse::<Country>().or(Err(Incomplete::UnknownCountry))?;
    let known = PHONE_NUMBER_UTIL.get_country_code_for_region(country).is_some();
    if known { Ok(country) } else { Err(Incomplete::UnknownCountry) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(country: &str, area: &str) -> DialsFrom {
        let area = Some(area.to_owned()).filter(|area| !area.is_empty());
        DialsFrom { country: country.to_owned(), area }
    }

    fn completed(country: &str, area: &str, dialled: &str) -> Result<String, Incomplete> {
        complete(Some(&at(country, area)), dialled).map(|number| number.reveal().to_owned())
    }

    #[test]
    fn reg_10_a_number_is_completed_by_the_dialling_rules_of_its_country() {
        for (country, area, dialled, number) in [
            ("DE", "30", "123456", "+4930123456"),
            ("DE", "030", "123456", "+4930123456"),
            ("DE", "30", "(089) 12 34 56", "+4989123456"),
            ("DE", "30", "0151 23456789", "+4915123456789"),
            ("DE", "30", "+33 1 42 68 53 00", "+33142685300"),
            ("DE", "30", "0033 1 42 68 53 00", "+33142685300"),
            ("US", "415", "555-2671", "+14155552671"),
            ("US", "415", "212 555 2671", "+12125552671"),
            ("US", "415", "1 212 555 2671", "+12125552671"),
            ("US", "415", "011 49 30 123456", "+4930123456"),
            ("RU", "", "8 912 345-67-89", "+79123456789"),
            ("BY", "", "8 029 123-45-67", "+375291234567"),
            ("SG", "", "8123 4567", "+6581234567"),
            ("IT", "", "06 6982", "+39066982"),
            ("BR", "11", "91234-5678", "+5511912345678"),
            ("DE", "", "\u{660}\u{663}\u{660} \u{661}\u{662}\u{663}\u{664}\u{665}\u{666}", "+4930123456"),
        ] {
            assert_eq!(
                completed(country, area, dialled).as_deref(),
                Ok(number),
                "{country} {area} {dialled}"
            );
        }
    }

    #[test]
    fn what_names_its_country_is_dialled_from_anywhere() {
        let number = complete(None, "+49 30 123456").unwrap();
        assert_eq!(number.reveal(), "+4930123456");
        assert_eq!(complete(None, "030 123456"), Err(Incomplete::NoCountry));
    }

    #[test]
    fn what_is_no_number_is_told() {
        for dialled in
            ["", "+", "12", "bob", "0800 FLOWERS", "+999 12345678", "030 123456 ext", "0".repeat(65).as_str()]
        {
            assert_eq!(completed("DE", "30", dialled), Err(Incomplete::NotANumber), "{dialled}");
        }
        for country in ["", "D", "DEU", "XX", "de\0"] {
            assert_eq!(completed(country, "", "030 123456"), Err(Incomplete::UnknownCountry), "{country}");
        }
    }

    #[test]
    fn reg_5_a_number_with_a_prefix_of_calls_at_home_is_told() {
        let possible = |number: &str| is_possible(&number.parse().unwrap());
        for number in ["+49030123456", "+440207946095", "+330142685300", "+1415555267155"] {
            assert!(!possible(number), "{number}");
        }
        // Italian numbers keep their zero; seven digits reach an area of America; the last country is none.
        for number in
            ["+4930123456", "+442079460958", "+390669821234", "+15550100", "+78005553535", "+99912345678"]
        {
            assert!(possible(number), "{number}");
        }
    }

    #[test]
    fn reg_5_no_countrys_own_example_is_impossible() {
        for country in PHONE_NUMBER_UTIL.get_supported_regions() {
            if let Ok(example) = PHONE_NUMBER_UTIL.get_example_number(country) {
                let number = PHONE_NUMBER_UTIL.format(&example, PhoneNumberFormat::E164).parse().unwrap();
                assert!(is_possible(&number), "{country:?}");
            }
        }
    }

    /// Of every country that has a plan: an example is completed, and one too short is refused.
    #[test]
    fn reg_5_numbers_of_every_country_are_told_from_what_is_none() {
        let mut countries = 0;
        for country in PHONE_NUMBER_UTIL.get_supported_regions() {
            let national = |number: &PhoneNumber| {
                PHONE_NUMBER_UTIL.format(number, PhoneNumberFormat::National).into_owned()
            };
            let e164 =
                |number: &PhoneNumber| PHONE_NUMBER_UTIL.format(number, PhoneNumberFormat::E164).into_owned();
            let from = at(&country.to_string(), "");
            if let Ok(example) = PHONE_NUMBER_UTIL.get_example_number(country) {
                let found = complete(Some(&from), &national(&example)).map(|it| it.reveal().to_owned());
                assert_eq!(found, Ok(e164(&example)), "{country:?}");
                assert!(e164(&example).parse().is_ok_and(|number| is_valid(&number)), "{country:?}");
                countries += 1;
            }
            if let Ok(invalid) = PHONE_NUMBER_UTIL.get_invalid_example_number(country) {
                assert_eq!(complete(None, &e164(&invalid)), Err(Incomplete::NotANumber), "{country:?}");
                assert!(!e164(&invalid).parse().is_ok_and(|number| is_valid(&number)), "{country:?}");
            }
        }
        assert!(countries > 200, "{countries} countries");
    }
}
