//! The relay first, directly once the invited device agrees (NAT-3): its address is not shown to strangers.
//!
//! Whoever is called does not learn from whom before it accepts, and then its address would be the caller's. Here it is
//! not: both talk through the relay until the invited device shows where it is. Its application does so at once for whom
//! its user knows, when its user says so, or never; the caller can only wait. From then on a direct path is looked for
//! beside the relay, and taken when there is one.
//!
//! Somebody asked for the relay, or a direct attempt of this session failed: the relay for good (NAT-4). There is nothing
//! to configure.

use switchhook_plugin::{
    Context, Description, Refusal,
    nat::{NatPolicy, Question, RelayHint, Verdict},
};

struct RelayUntilAccepted;

switchhook_plugin::export!(NatPolicy: RelayUntilAccepted);

impl NatPolicy for RelayUntilAccepted {
    fn describe() -> Description {
        let summary = "Through the relay until the invited device shows where it is.";
        Description::new("nat-policy-relay-until-accepted", env!("CARGO_PKG_VERSION"), summary)
    }

    fn validate_config(configuration: &str) -> Result<(), String> {
        let empty = configuration.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let empty = empty.is_some_and(|inside| inside.trim().is_empty());
        if empty { Ok(()) } else { Err("there is nothing to configure: {}".to_owned()) }
    }

    fn decide(_: &Context, question: &Question) -> Result<Verdict, Refusal> {
        let (a, b) = (&question.a.region, &question.b.region);
        let region = (a == b && !a.is_empty()).then(|| a.clone());
        let asked = question.attempt.relay_requested || question.attempt.direct_failures > 0;
        let hint = RelayHint { region };
        Ok(if asked { Verdict::Relay(hint) } else { Verdict::RelayUntilAccepted(hint) })
    }
}

#[cfg(test)]
mod tests {
    use switchhook_plugin::nat::{Attempt, Filtering, Mapping, Origin, Outcomes, Party};

    use super::*;

    #[test]
    fn nat_3_even_two_open_devices_of_one_network_begin_at_the_relay() {
        assert_eq!(region(&question("home", ["eu", "eu"])), Some("eu".to_owned()));
        assert_eq!(region(&question("home", ["eu", "us"])), None);
        assert_eq!(region(&question("", ["", ""])), None);
    }

    #[test]
    fn nat_4_after_a_failed_attempt_or_on_request_it_stays_at_the_relay() {
        for (direct_failures, relay_requested) in [(1, false), (0, true)] {
            let attempt = Attempt { direct_failures, relay_requested };
            let question = Question { attempt, ..question("home", ["eu", "eu"]) };
            let verdict = RelayUntilAccepted::decide(&Context::example("{}"), &question).unwrap();
            assert!(matches!(verdict, Verdict::Relay(_)), "{verdict:?}");
        }
    }

    #[test]
    fn there_is_nothing_to_configure() {
        assert_eq!(
            (RelayUntilAccepted::validate_config("{}"), RelayUntilAccepted::validate_config(" { } ")),
            (Ok(()), Ok(()))
        );
        for wrong in ["", "[]", r#"{"patience_ms": 1}"#] {
            assert!(RelayUntilAccepted::validate_config(wrong).is_err(), "{wrong}");
        }
    }

    /// Where the relay is to be.
    fn region(question: &Question) -> Option<String> {
        match RelayUntilAccepted::decide(&Context::example("{}"), question).unwrap() {
            Verdict::RelayUntilAccepted(RelayHint { region }) => region,
            Verdict::Direct
            | Verdict::Relay(_)
            | Verdict::DirectThenRelay(_)
            | Verdict::DirectGuessing(_)
            | Verdict::Ask(_) => panic!("not the relay until it is accepted"),
        }
    }

    fn question(network: &str, regions: [&str; 2]) -> Question {
        let [a, b] = regions.map(|region| Party {
            mapping: Mapping::None,
            mapping_origin: Origin::Observed,
            filtering: Filtering::None,
            filtering_origin: Origin::Observed,
            network: network.to_owned(),
            region: region.to_owned(),
            has_host_address: true,
            ipv6: true,
        });
        Question {
            a,
            b,
            attempt: Attempt { direct_failures: 0, relay_requested: false },
            history: Outcomes { direct_worked: 9, direct_failed: 0 },
            answers: vec![],
        }
    }
}
