//! Who may ring whom: the tenant's list. Without one everybody of an application may ring everybody.
//!
//! It speaks of identifiers alone, never of who is registered, so that what an outsider is told does not
//! depend on who exists. Each user's own block list comes on top, where devices are looked up.

use alloc::{string::String, vec::Vec};
use core::fmt;

use serde::{Deserialize, Serialize};
use switchhook_protocol::endpoint::{EndpointId, MAX_ENDPOINT};

/// Most entries of a list: each is compared on each invite. Longer ones are the router's to know.
pub const MAX_RULES: usize = 256;

/// Who may ring whom. Each side is an identifier, or the beginning of identifiers and a `*`.
///
/// Prints masked, as identifiers do.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RingRule {
    /// Who rings.
    pub from: String,
    /// Who is rung.
    pub to: String,
}

impl fmt::Debug for RingRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingRule").finish_non_exhaustive()
    }
}

impl RingRule {
    /// A rule that lets nobody ring anybody: no identifier is empty.
    pub(crate) const fn nobody() -> Self {
        Self { from: String::new(), to: String::new() }
    }
}

/// Why a list does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRules {
    /// More than [`MAX_RULES`].
    #[error("more than {MAX_RULES} entries")]
    TooMany,
    /// A side is no identifier, nor the beginning of some.
    #[error("{0:?} is neither an identifier nor the beginning of some and a `*`")]
    Side(String),
}

/// Names the first entry that does not count.
pub fn check(rules: &[RingRule]) -> Result<(), InvalidRules> {
    if rules.len() > MAX_RULES {
        return Err(InvalidRules::TooMany);
    }
    let sides = rules.iter().flat_map(|rule| [&rule.from, &rule.to]);
    sides.into_iter().find(|side| !is_side(side)).map_or(Ok(()), |side| Err(InvalidRules::Side(side.clone())))
}

fn is_side(side: &str) -> bool {
    match side.strip_suffix('*') {
        Some(beginning) => beginning.len() <= MAX_ENDPOINT && !beginning.contains(char::is_whitespace),
        None => side.parse::<EndpointId>().is_ok(),
    }
}

/// Those of the invited whom somebody may ring.
pub fn allowed(rules: &[RingRule], from: &EndpointId, invited: &[EndpointId]) -> Vec<EndpointId> {
    invited.iter().filter(|to| may_ring(rules, from, to)).cloned().collect()
}

fn may_ring(rules: &[RingRule], from: &EndpointId, to: &EndpointId) -> bool {
    rules.is_empty() || rules.iter().any(|rule| fits(&rule.from, from) && fits(&rule.to, to))
}

fn fits(side: &str, endpoint: &EndpointId) -> bool {
    match side.strip_suffix('*') {
        Some(beginning) => endpoint.reveal().starts_with(beginning),
        None => endpoint.reveal() == side,
    }
}

#[cfg(test)]
mod tests {
    use alloc::{borrow::ToOwned as _, vec};

    use super::*;

    fn rule(from: &str, to: &str) -> RingRule {
        RingRule { from: from.to_owned(), to: to.to_owned() }
    }

    fn rings(rules: &[RingRule], from: &str, to: &str) -> bool {
        !allowed(rules, &from.parse().unwrap(), &[to.parse().unwrap()]).is_empty()
    }

    #[test]
    fn without_a_list_everybody_rings_everybody_and_with_one_only_who_is_on_it() {
        assert!(rings(&[], "alice", "bob"));
        let rules = [rule("+1555*", "bob"), rule("operator", "*")];
        assert_eq!(check(&rules), Ok(()));
        assert!(rings(&rules, "+15550100", "bob") && rings(&rules, "operator", "carol"));
        assert!(!rings(&rules, "+15550100", "carol"), "each entry counts as a whole");
        assert!(!rings(&rules, "operators", "bob") && !rings(&rules, "alice", "bob"));
    }

    #[test]
    fn a_list_is_short_and_made_of_identifiers() {
        assert_eq!(check(&vec![rule("*", "*"); MAX_RULES + 1]), Err(InvalidRules::TooMany));
        for wrong in ["", "a b", "a b*"] {
            assert_eq!(check(&[rule("alice", wrong)]), Err(InvalidRules::Side(wrong.to_owned())));
        }
    }
}
