//! Direct or through the relay, by how earlier sessions between the two networks went (NAT-3, NAT-4, NAT-6).
//!
//! The host counts, for each pair of networks, how often a direct path was found and how often not: that is all
//! this policy learns from, and it keeps nothing itself. How likely a direct path is, is estimated from both
//! counts and from a first guess that counts like two sessions:
//!
//! | the two mappings | first guess |
//! |---|---|
//! | one of both has no NAT | 95 % |
//! | both the same for all destinations | 90 % |
//! | one unknown | 50 % |
//! | one differs by destination | 40 % |
//! | both differ by destination | 10 % |
//!
//! So a few sessions outweigh any table, and a table is there before the first one. What is likely is tried with
//! the whole patience, what is not with half of it; below `least_percent` the relay comes at once, but for one
//! session in `one_in`, by which a network that has changed is found out.
//!
//! Before all that: somebody asked for the relay, or a direct attempt of this session failed: relay (NAT-4).
//! Both behind one gateway, with addresses of their own: tried in any case (NAT-6).
//!
//! Configuration, each field with its default: `{"patience_ms": 3000, "least_percent": 20, "one_in": 20}`.

mod settings;

use settings::Settings;
use switchhook_plugin::{
    Context, Description, Refusal,
    nat::{Mapping, NatPolicy, Outcomes, Party, Patience, Question, RelayHint, Verdict},
};

struct Learning;

switchhook_plugin::export!(NatPolicy: Learning);

/// Sessions that the first guess counts for.
const GUESS_WEIGHT: u64 = 2;
/// From here on a direct path is likely.
const LIKELY_PERCENT: u64 = 60;
/// Shortest patience that the host takes.
const SHORTEST: u32 = 100;

impl NatPolicy for Learning {
    fn describe() -> Description {
        let summary = "Direct or through the relay, by how earlier sessions between the two networks went.";
        Description::new("nat-policy-learning", env!("CARGO_PKG_VERSION"), summary)
    }

    fn validate_config(configuration: &str) -> Result<(), String> {
        Settings::read(configuration).map(|_| ())
    }

    fn decide(context: &Context, question: &Question) -> Result<Verdict, Refusal> {
        let settings =
            Settings::read(&context.configuration).map_err(|why| Refusal::new("configuration", &why))?;
        let luck = context.seed.0;
        Ok(settings.decide(question, luck))
    }
}

impl Settings {
    fn decide(&self, question: &Question, luck: u64) -> Verdict {
        let Question { a, b, attempt, history, .. } = question;
        if attempt.relay_requested || attempt.direct_failures > 0 {
            return relay(question);
        }
        let percent = likelihood(a, b, *history);
        let neighbours =
            !a.network.is_empty() && a.network == b.network && a.has_host_address && b.has_host_address;
        let tries = self.one_in != 0 && luck.is_multiple_of(self.one_in);
        if percent >= LIKELY_PERCENT {
            return patiently(self.patience_ms);
        }
        if percent >= u64::from(self.least_percent) || neighbours || tries {
            return patiently((self.patience_ms / 2).max(SHORTEST));
        }
        relay(question)
    }
}

/// How many of a hundred direct tries would work.
fn likelihood(a: &Party, b: &Party, history: Outcomes) -> u64 {
    let (worked, failed) = (u64::from(history.direct_worked), u64::from(history.direct_failed));
    (worked * 100 + first_guess(a.mapping, b.mapping) * GUESS_WEIGHT) / (worked + failed + GUESS_WEIGHT)
}

const fn first_guess(a: Mapping, b: Mapping) -> u64 {
    match (a, b) {
        (Mapping::None, _) | (_, Mapping::None) => 95,
        (Mapping::EndpointIndependent, Mapping::EndpointIndependent) => 90,
        (Mapping::Unknown, _) | (_, Mapping::Unknown) => 50,
        (Mapping::EndpointIndependent, _) | (_, Mapping::EndpointIndependent) => 40,
        (
            Mapping::AddressDependent | Mapping::AddressAndPortDependent,
            Mapping::AddressDependent | Mapping::AddressAndPortDependent,
        ) => 10,
    }
}

const fn patiently(milliseconds: u32) -> Verdict {
    Verdict::DirectThenRelay(Patience { milliseconds })
}

/// Where both are; anywhere if they are apart, since the host knows the paths better.
fn relay(question: &Question) -> Verdict {
    let (a, b) = (&question.a.region, &question.b.region);
    let region = (a == b && !a.is_empty()).then(|| a.clone());
    Verdict::Relay(RelayHint { region })
}

#[cfg(test)]
mod tests {
    use switchhook_plugin::nat::{Attempt, Filtering, Origin};

    use super::*;

    const CONE: Mapping = Mapping::EndpointIndependent;
    const SYMMETRIC: Mapping = Mapping::AddressAndPortDependent;
    /// Not the one session in twenty.
    const UNLUCKY: u64 = 1;
    const LUCKY: u64 = 40;

    #[test]
    fn nat_3_before_anything_is_known_the_first_guess_counts() {
        assert_eq!(decide([CONE, CONE], (0, 0), UNLUCKY), "direct for 3000 ms");
        assert_eq!(decide([CONE, SYMMETRIC], (0, 0), UNLUCKY), "direct for 1500 ms");
        assert_eq!(decide([SYMMETRIC, SYMMETRIC], (0, 0), UNLUCKY), "relay");
        assert_eq!(decide([SYMMETRIC, Mapping::None], (0, 0), UNLUCKY), "direct for 3000 ms");
    }

    #[test]
    fn nat_3_what_happened_outweighs_the_guess() {
        assert_eq!(decide([CONE, CONE], (0, 10), UNLUCKY), "relay", "they never met");
        assert_eq!(decide([SYMMETRIC, SYMMETRIC], (5, 0), UNLUCKY), "direct for 3000 ms", "they always met");
        assert_eq!(decide([CONE, SYMMETRIC], (3, 6), UNLUCKY), "direct for 1500 ms");
    }

    #[test]
    fn one_session_in_some_tries_nevertheless_so_that_a_change_is_found_out() {
        assert_eq!(decide([SYMMETRIC, SYMMETRIC], (0, 100), LUCKY), "direct for 1500 ms");
        let never = verdict(&question([SYMMETRIC, SYMMETRIC], (0, 100)), r#"{"one_in": 0}"#, LUCKY);
        assert_eq!(never, "relay");
    }

    #[test]
    fn nat_4_after_a_failed_attempt_or_a_request_the_answer_is_relay() {
        for attempt in [
            Attempt { direct_failures: 1, relay_requested: false },
            Attempt { direct_failures: 0, relay_requested: true },
        ] {
            let question = Question { attempt, ..question([CONE, CONE], (9, 0)) };
            assert_eq!(verdict(&question, "{}", LUCKY), "relay");
        }
    }

    #[test]
    fn nat_6_devices_of_one_network_try_it_whatever_happened_before() {
        let mut question = question([SYMMETRIC, SYMMETRIC], (0, 100));
        question.b.network.clone_from(&question.a.network);
        assert_eq!(verdict(&question, "{}", UNLUCKY), "direct for 1500 ms");
        question.a.has_host_address = false;
        assert_eq!(verdict(&question, "{}", UNLUCKY), "relay");
    }

    #[test]
    fn a_configuration_out_of_bounds_is_refused() {
        for right in ["{}", r#"{"one_in": 0}"#, r#"{"least_percent": 100, "patience_ms": 100}"#] {
            assert_eq!(Learning::validate_config(right), Ok(()));
        }
        for wrong in
            [r#"{"one_in": 1}"#, r#"{"least_percent": 101}"#, r#"{"patience_ms": 99}"#, r#"{"x": 1}"#]
        {
            assert!(Learning::validate_config(wrong).is_err(), "{wrong}");
        }
    }

    fn decide(mappings: [Mapping; 2], history: (u32, u32), luck: u64) -> String {
        verdict(&question(mappings, history), "{}", luck)
    }

    fn verdict(question: &Question, configuration: &str, luck: u64) -> String {
        let mut context = Context::example(configuration);
        context.seed.0 = luck;
        match Learning::decide(&context, question).unwrap() {
            Verdict::Direct => "direct".to_owned(),
            Verdict::Relay(_) => "relay".to_owned(),
            Verdict::DirectThenRelay(patience) => format!("direct for {} ms", patience.milliseconds),
            Verdict::DirectGuessing(effort) => format!("guessing {effort:?}"),
            Verdict::RelayUntilAccepted(hint) => format!("until accepted {hint:?}"),
            Verdict::Ask(requests) => format!("ask {requests:?}"),
        }
    }

    fn question(mappings: [Mapping; 2], (direct_worked, direct_failed): (u32, u32)) -> Question {
        let party = |network: &str, mapping| Party {
            mapping,
            mapping_origin: Origin::Observed,
            filtering: Filtering::Unknown,
            filtering_origin: Origin::Observed,
            network: network.to_owned(),
            region: "eu".to_owned(),
            has_host_address: true,
            ipv6: false,
        };
        let [a, b] = mappings;
        Question {
            a: party("a", a),
            b: party("b", b),
            attempt: Attempt { direct_failures: 0, relay_requested: false },
            history: Outcomes { direct_worked, direct_failed },
            answers: vec![],
        }
    }
}
