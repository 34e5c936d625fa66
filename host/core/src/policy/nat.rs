//! Whether two devices talk directly or through a relay (NAT-3, NAT-4).

use alloc::{string::String, vec::Vec};
use core::time::Duration;

use serde::{Deserialize, Serialize};
pub use switchhook_protocol::connection_data::{Filtering, Mapping};

use super::{Answer, InvalidRequest, Request, check_requests, is_word, json};

/// Everything that a NAT policy is asked about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// One side.
    pub a: Party,
    /// The other side.
    pub b: Party,
    /// What was tried before in this session.
    #[serde(default)]
    pub attempt: Attempt,
    /// How earlier sessions between these two networks went.
    #[serde(default)]
    pub history: Outcomes,
    /// Answers to the requests of the round before.
    #[serde(default)]
    pub answers: Vec<Answer>,
}

/// One side, as the network sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// How its gateway maps addresses.
    pub mapping: Fact<Mapping>,
    /// What its gateway lets in.
    pub filtering: Fact<Filtering>,
    /// A keyed hash of the public address: equal for two devices behind one gateway. Empty: unknown.
    pub network: String,
    /// Where the device is connected.
    pub region: String,
    /// Whether the device offers addresses of its own.
    pub has_host_address: bool,
    /// Whether one of its addresses is IPv6.
    pub ipv6: bool,
}

/// A statement about a network, and who makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact<T> {
    /// What is said.
    pub value: T,
    /// Who says it.
    pub origin: Origin,
}

/// Where a fact comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The host saw it (CDX).
    Observed,
    /// The client says so.
    Claimed,
}

/// What was tried before in this session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attempt {
    /// Direct attempts that failed.
    pub direct_failures: u8,
    /// One of both asked for the relay.
    pub relay_requested: bool,
}

/// How earlier sessions between two networks went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Outcomes {
    /// Sessions whose direct path worked.
    pub direct_worked: u32,
    /// Sessions whose direct path did not.
    pub direct_failed: u32,
}

/// What a NAT policy answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decided {
    /// Connect like this.
    Verdict(Verdict),
    /// Ask the tenant's service first, then the policy again.
    Ask(Vec<Request>),
}

/// How two devices connect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Directly.
    Direct,
    /// Through a relay.
    Relay {
        /// Where it is best, if the policy knows.
        #[serde(default)]
        region: Option<String>,
        /// Directly as soon as the invited device shows where it is: until then nobody but the host knows.
        #[serde(default)]
        until_accepted: bool,
    },
    /// Directly first, through a relay when patience is over.
    DirectThenRelay {
        /// How long to try directly: [`MIN_PATIENCE`] to [`MAX_PATIENCE`].
        #[serde(rename = "patience_ms", with = "json::millis")]
        patience: Duration,
        /// What the clients may guess meanwhile.
        #[serde(default)]
        guessing: Guessing,
    },
}

/// What clients may guess where the addresses that they were told lead nowhere. What it may cost is the clients' to bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Guessing {
    /// Of a NAT that gives out one port after the other, the next ones.
    pub next_ports: bool,
    /// Ports at random, by many sockets against many tries, where that can win.
    pub birthday: bool,
}

impl Default for Guessing {
    /// The next ports alone.
    fn default() -> Self {
        Self { next_ports: true, birthday: false }
    }
}

/// A rule of [`Decided`] that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidVerdict {
    /// Shorter than [`MIN_PATIENCE`] or longer than [`MAX_PATIENCE`].
    #[error("patience is shorter than 100 ms or longer than 30 s")]
    Patience,
    /// The relay's region is no word.
    #[error("the relay's region is not a word")]
    Region,
    /// It asks in a way that is not allowed.
    #[error(transparent)]
    Request(#[from] InvalidRequest),
}

impl Decided {
    /// Names the first rule that it breaks.
    pub fn check(&self) -> Result<(), InvalidVerdict> {
        match self {
            Self::Verdict(Verdict::DirectThenRelay { patience, .. })
                if !(MIN_PATIENCE..=MAX_PATIENCE).contains(patience) =>
            {
                Err(InvalidVerdict::Patience)
            }
            Self::Verdict(Verdict::Relay { region: Some(region), .. }) if !is_word(region) => {
                Err(InvalidVerdict::Region)
            }
            Self::Verdict(_) => Ok(()),
            Self::Ask(requests) => Ok(check_requests(requests)?),
        }
    }
}

impl Verdict {
    /// The declared default: what works wherever anything does.
    pub const DEFAULT: Self = Self::Relay { region: None, until_accepted: false };
}

impl<T> Fact<T> {
    /// Seen by the host.
    pub const fn observed(value: T) -> Self {
        Self { value, origin: Origin::Observed }
    }

    /// Said by the client.
    pub const fn claimed(value: T) -> Self {
        Self { value, origin: Origin::Claimed }
    }
}

/// Shortest patience: one round of checks over a path of 40 ms.
pub const MIN_PATIENCE: Duration = Duration::from_millis(100);
/// Longest patience: a person who accepted a call hangs up before.
pub const MAX_PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn the_declared_default_keeps_the_rules() {
        assert_eq!(Decided::Verdict(Verdict::DEFAULT).check(), Ok(()));
    }

    #[test]
    fn patience_is_bounded_on_both_sides() {
        let patience = |millis| {
            let patience = Duration::from_millis(millis);
            Decided::Verdict(Verdict::DirectThenRelay { patience, guessing: Guessing::default() }).check()
        };
        assert_eq!(patience(99), Err(InvalidVerdict::Patience));
        assert_eq!(patience(100), Ok(()));
        assert_eq!(patience(30_001), Err(InvalidVerdict::Patience));
    }

    #[test]
    fn a_relays_region_is_a_word() {
        let relay = |region: &str| {
            Decided::Verdict(Verdict::Relay { region: Some(region.into()), until_accepted: false })
        };
        assert_eq!(relay("eu-west").check(), Ok(()));
        assert_eq!(relay("eu west").check(), Err(InvalidVerdict::Region));
        assert_eq!(Decided::Ask(vec![]).check(), Err(InvalidVerdict::Request(InvalidRequest::None)));
    }
}
