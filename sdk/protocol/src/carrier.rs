//! The carrier bundle: which number a client texts to register, by its SIM's carrier (REG-15).
//!
//! The host serves a tenant's bundle: enrolment brings it, a client stores it with its version and asks for a newer
//! one (`carriers`) when it has a connection; at the time of the text it may have none. The entry that says most about the SIM counts:
//! mobile country and network code, then country code alone, then country, then an entry that says nothing.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::endpoint::is_number;

/// A tenant's bundle.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarrierBundle {
    /// Counts its changes; 0: the tenant has none.
    pub version: u64,
    /// Its entries.
    pub carriers: Vec<Carrier>,
}

/// An entry: for SIMs of which all that it says is true.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carrier {
    /// Mobile country code: three digits (ITU-T E.212).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcc: Option<String>,
    /// Mobile network code: two or three digits; only with a country code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mnc: Option<String>,
    /// Country: two capital letters (ISO 3166-1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// The number or short code to text.
    pub number: String,
}

/// `carriers`: the tenant's bundle, if it is another than the one that the device has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carriers {
    /// The version that the device has; 0: none.
    #[serde(default)]
    pub held: u64,
}

/// Answer to `carriers`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresentCarriers {
    /// What to store in place of the bundle that the device has; none: it has the tenant's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<CarrierBundle>,
}

/// What is known of a SIM.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sim {
    /// Mobile country code.
    #[serde(default)]
    pub mcc: Option<String>,
    /// Mobile network code.
    #[serde(default)]
    pub mnc: Option<String>,
    /// Country: two capital letters.
    #[serde(default)]
    pub country: Option<String>,
}

/// A rule of a bundle that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCarriers {
    /// More than [`MAX_CARRIERS`].
    #[error("a bundle has at most 500 entries")]
    TooMany,
    /// An entry with a code that is none.
    #[error(
        "entry {0}: mcc has three digits, mnc two or three and an mcc beside it, country two capital letters"
    )]
    Code(usize),
    /// An entry with a number that is none.
    #[error("entry {0}: a number is '+' if it is a phone number, and 3 to 15 digits")]
    Number(usize),
}

/// Most entries of a bundle: it fits one request.
pub const MAX_CARRIERS: usize = 500;

impl CarrierBundle {
    /// The number that a phone with this SIM texts; none if no entry is for it.
    pub fn number(&self, sim: &Sim) -> Option<&str> {
        self.carrier(sim).map(|carrier| carrier.number.as_str())
    }

    /// The entry that says most about this SIM; the first of equals.
    pub fn carrier(&self, sim: &Sim) -> Option<&Carrier> {
        let fitting = self.carriers.iter().rev().filter(|carrier| carrier.fits(sim));
        fitting.max_by_key(|carrier| carrier.says())
    }

    /// What somebody is told who has this version: the bundle, unless it is that one.
    pub fn unless(self, held: u64) -> Option<Self> {
        (self.version != held).then_some(self)
    }

    /// Names the first rule that it breaks.
    pub fn check(&self) -> Result<(), InvalidCarriers> {
        if self.carriers.len() > MAX_CARRIERS {
            return Err(InvalidCarriers::TooMany);
        }
        for (index, carrier) in self.carriers.iter().enumerate() {
            carrier.has_codes().then_some(()).ok_or(InvalidCarriers::Code(index))?;
            is_number(&carrier.number).then_some(()).ok_or(InvalidCarriers::Number(index))?;
        }
        Ok(())
    }
}

impl Carrier {
    fn fits(&self, sim: &Sim) -> bool {
        let fits = |wanted: &Option<String>, own: &Option<String>| wanted.is_none() || wanted == own;
        fits(&self.mcc, &sim.mcc) && fits(&self.mnc, &sim.mnc) && fits(&self.country, &sim.country)
    }

    /// How much it says of a SIM.
    const fn says(&self) -> (bool, bool, bool) {
        (self.mnc.is_some(), self.mcc.is_some(), self.country.is_some())
    }

    fn has_codes(&self) -> bool {
        let mcc = self.mcc.as_deref().is_none_or(|mcc| is_digits(mcc, 3..=3));
        let mnc = self.mnc.as_deref().is_none_or(|mnc| self.mcc.is_some() && is_digits(mnc, 2..=3));
        let letters =
            |country: &str| country.len() == 2 && country.bytes().all(|letter| letter.is_ascii_uppercase());
        mcc && mnc && self.country.as_deref().is_none_or(letters)
    }
}

fn is_digits(text: &str, length: core::ops::RangeInclusive<usize>) -> bool {
    length.contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use alloc::{borrow::ToOwned as _, vec};

    use super::*;

    fn sim(mcc: &str, mnc: &str, country: &str) -> Sim {
        let known = |code: &str| (!code.is_empty()).then(|| code.to_owned());
        Sim { mcc: known(mcc), mnc: known(mnc), country: known(country) }
    }

    fn carrier(of: Sim, number: &str) -> Carrier {
        let Sim { mcc, mnc, country } = of;
        Carrier { mcc, mnc, country, number: number.to_owned() }
    }

    #[test]
    fn reg_15_the_number_is_that_of_the_entry_which_says_most_about_the_sim() {
        let carriers = vec![
            carrier(sim("", "", ""), "+15550199"),
            carrier(sim("", "", "DE"), "70470"),
            carrier(sim("262", "", ""), "70471"),
            carrier(sim("262", "02", ""), "70472"),
            carrier(sim("262", "02", ""), "70473"),
        ];
        let bundle = CarrierBundle { version: 1, carriers };
        for (sim, number) in [
            (sim("262", "02", "DE"), "70472"),
            (sim("262", "01", "DE"), "70471"),
            (sim("", "", "DE"), "70470"),
            (sim("310", "410", "US"), "+15550199"),
            (Sim::default(), "+15550199"),
        ] {
            assert_eq!(bundle.number(&sim), Some(number), "{sim:?}");
        }
        assert_eq!(CarrierBundle::default().number(&sim("262", "02", "DE")), None);
    }

    #[test]
    fn reg_15_a_bundle_has_codes_and_numbers_that_are_such() {
        let check =
            |of: Sim, number: &str| CarrierBundle { version: 1, carriers: vec![carrier(of, number)] }.check();
        assert_eq!(check(sim("310", "410", "US"), "70470"), Ok(()));
        assert_eq!(check(Sim::default(), "+15550199"), Ok(()));
        for wrong in [
            sim("31", "", ""),
            sim("", "410", ""),
            sim("310", "4", ""),
            sim("", "", "us"),
            sim("", "", "USA"),
        ] {
            assert_eq!(check(wrong, "70470"), Err(InvalidCarriers::Code(0)));
        }
        assert_eq!(check(Sim::default(), "SWITCH"), Err(InvalidCarriers::Number(0)));
        let carriers = vec![carrier(Sim::default(), "70470"); MAX_CARRIERS + 1];
        assert_eq!(CarrierBundle { version: 1, carriers }.check(), Err(InvalidCarriers::TooMany));
    }
}
