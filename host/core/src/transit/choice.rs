//! Which of a tenant's gateways a text goes out by.
//!
//! An answer to a text goes back by the gateway that the text came through. Any other goes by one that
//! serves the number: those that name the longest beginning of it, a country's code or a carrier's block,
//! and of these the one whose texts have lately led to most proofs. A gateway is taken for perfect until
//! [`TRUST`] texts have shown otherwise, so that a new one, and one that was bad some time ago, gets its try.
//! Between equals the first by name is taken.

use alloc::{string::String, vec::Vec};

use switchhook_protocol::{endpoint::EndpointId, id::GatewayId};

use super::conversion::{Conversion, calling_code};

/// What is known of a gateway when one is chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub gateway: GatewayId,
    /// Beginnings of the numbers that it serves, each with its plus; none: all.
    pub serves: Vec<String>,
    /// How its texts have lately fared, by calling code.
    pub lately: Vec<(String, Conversion)>,
}

/// The gateways among which texts of a step are divided.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gateways {
    /// The one that the text came through which is answered.
    pub answers: Option<GatewayId>,
    /// All of the tenant's, by name.
    pub all: Vec<Candidate>,
}

/// Texts after which a gateway is known as well as it was trusted before.
pub const TRUST: u32 = 8;

impl Gateways {
    /// The gateway for a text to this number; none if no gateway serves it.
    pub fn choose(&self, to: &EndpointId) -> Option<&GatewayId> {
        if self.answers.is_some() {
            return self.answers.as_ref();
        }
        let serving = |candidate: &Candidate| candidate.serves(to);
        let longest = self.all.iter().filter_map(serving).max()?;
        let nearest = self.all.iter().filter(|candidate| candidate.serves(to) == Some(longest));
        // The last of equals is the maximum: from the end, that is the first by name.
        let best = nearest.rev().max_by(|one, other| compare(one.conversion(to), other.conversion(to)));
        best.map(|candidate| &candidate.gateway)
    }
}

impl Candidate {
    /// How much of the number's beginning it names; none if it does not serve it.
    fn serves(&self, to: &EndpointId) -> Option<usize> {
        let named = |prefix: &&String| to.reveal().starts_with(prefix.as_str());
        let longest = self.serves.iter().filter(named).map(String::len).max();
        if self.serves.is_empty() { Some(0) } else { longest }
    }

    fn conversion(&self, to: &EndpointId) -> Conversion {
        let code = calling_code(to);
        let lately = self.lately.iter().find(|(other, _)| Some(other.as_str()) == code);
        lately.map_or_else(Conversion::default, |(_, conversion)| *conversion)
    }
}

/// Compares `(proven + TRUST) / (sent + TRUST)` without a fraction.
fn compare(one: Conversion, other: Conversion) -> core::cmp::Ordering {
    let trusted = |number: u32| u64::from(number) + u64::from(TRUST);
    let (mine, theirs) = (trusted(one.proven.min(one.sent)), trusted(other.proven.min(other.sent)));
    (mine * trusted(other.sent)).cmp(&(theirs * trusted(one.sent)))
}

#[cfg(test)]
mod tests {
    use alloc::{borrow::ToOwned as _, vec};

    use super::*;

    fn candidate(name: &str, serves: &[&str], (sent, proven): (u32, u32)) -> Candidate {
        Candidate {
            gateway: name.parse().unwrap(),
            serves: serves.iter().map(|prefix| (*prefix).to_owned()).collect(),
            lately: vec![("+49".to_owned(), Conversion { sent, proven, ..Conversion::default() })],
        }
    }

    fn chosen(all: Vec<Candidate>, to: &str) -> Option<String> {
        let gateways = Gateways { answers: None, all };
        gateways.choose(&to.parse().unwrap()).map(|gateway| gateway.as_str().to_owned())
    }

    const BERLIN: &str = "+4915112345678";

    #[test]
    fn the_gateway_that_names_most_of_the_number_is_taken() {
        let all = || {
            vec![
                candidate("carrier", &["+49151", "+49160"], (0, 0)),
                candidate("germany", &["+49"], (0, 0)),
                candidate("world", &[], (0, 0)),
            ]
        };
        assert_eq!(chosen(all(), BERLIN).unwrap(), "carrier");
        assert_eq!(chosen(all(), "+4917012345678").unwrap(), "germany");
        assert_eq!(chosen(all(), "+15550100").unwrap(), "world");
        assert_eq!(chosen(all()[..2].to_vec(), "+15550100"), None);
        assert_eq!(chosen(vec![], BERLIN), None);
    }

    #[test]
    fn of_those_that_serve_it_alike_the_one_whose_texts_lead_to_proofs_is_taken() {
        let pair = |one, other| vec![candidate("a", &["+49"], one), candidate("b", &["+49"], other)];
        assert_eq!(chosen(pair((100, 60), (100, 90)), BERLIN).unwrap(), "b");
        assert_eq!(chosen(pair((100, 90), (100, 60)), BERLIN).unwrap(), "a");
        assert_eq!(chosen(pair((5, 5), (0, 0)), BERLIN).unwrap(), "a");
    }

    #[test]
    fn a_gateway_of_which_little_is_known_gets_its_try() {
        let pair = |known, new| vec![candidate("known", &[], known), candidate("new", &[], new)];
        assert_eq!(chosen(pair((1_000, 950), (0, 0)), BERLIN).unwrap(), "new");
        assert_eq!(chosen(pair((1_000, 950), (4, 0)), BERLIN).unwrap(), "known");
        // How it fares in one country says nothing about another.
        assert_eq!(chosen(pair((1_000, 950), (4, 0)), "+15550100").unwrap(), "known");
    }

    #[test]
    fn an_answer_goes_back_by_the_gateway_that_was_texted() {
        let all = vec![candidate("carrier", &["+49"], (0, 0))];
        let gateways = Gateways { answers: Some("short-code".parse().unwrap()), all };
        assert_eq!(gateways.choose(&BERLIN.parse().unwrap()).unwrap().as_str(), "short-code");
    }
}
