//! Direct or through the relay, by a published compatibility table (NAT-3, NAT-4, NAT-6).
//!
//! The table holds for clients that answer a check to the source it came from (ICE's peer-reflexive
//! candidates); the NAT lab measured it. ● meets, ◐ may meet, ○ does not.
//!
//! |                | open | full | restr | port | cone? | symm | ?  |
//! |----------------|------|------|-------|------|-------|------|----|
//! | open           | ●    | ●    | ●     | ●    | ●     | ●    | ●  |
//! | full cone      | ●    | ●    | ●     | ●    | ●     | ●    | ●  |
//! | restricted     | ●    | ●    | ●     | ●    | ●     | ●    | ●  |
//! | port-restricted| ●    | ●    | ●     | ●    | ●     | ○    | ◐  |
//! | cone?          | ●    | ●    | ●     | ●    | ●     | ◐    | ◐  |
//! | symmetric      | ●    | ●    | ●     | ○    | ◐     | ○    | ◐  |
//! | ?              | ●    | ●    | ●     | ◐    | ◐     | ◐    | ◐  |
//!
//! *cone?*: one address for all destinations, filtering not known, which is all that a host with one
//! address can see. *?*: not even the mapping is known. Two cones meet whatever they filter.
//!
//! The table is the first word. In this order:
//! 1. somebody asked for the relay, or direct attempts failed before: relay (NAT-4);
//! 2. both behind one gateway, both with addresses of their own: direct over the local network
//!    (NAT-6). Where the table says they may not meet otherwise, the relay follows soon: one public
//!    address can also be a provider's;
//! 3. ●: direct. If that rests on a client's word alone, or direct paths between these two networks
//!    failed before and never worked, the relay follows when patience is over;
//! 4. a symmetric side and a cone, as CDX has seen both, where the table does not say ●: ports are guessed at random, with
//!    a patience of its own, since that wins 49 of 50 such pairs; but not where direct paths between these networks only
//!    ever failed;
//! 5. ◐, or ○ where both have IPv6: directly first, then the relay; ◐ whose networks only ever failed
//!    is not tried again;
//! 6. ○: relay.
//!
//! Configuration, each field with its default: `{"patience_ms": 3000, "attempts": 1, "guess_ports": true,
//! "guessing_patience_ms": 5000}`.

mod settings;
mod table;

use settings::Settings;
use switchhook_plugin::{
    Context, Description, Refusal,
    nat::{
        Effort, Guessing, Mapping, NatPolicy, Origin, Outcomes, Party, Patience, Question, RelayHint, Verdict,
    },
};
use table::{Kind, Meets};

struct Standard;

switchhook_plugin::export!(NatPolicy: Standard);

/// A check on a local network takes one round trip of it; this is for lost packets.
const LOCAL_PATIENCE: u32 = 1500;
/// This many failures without a success say that the table is wrong about two networks.
const TELLING_FAILURES: u32 = 3;

impl NatPolicy for Standard {
    fn describe() -> Description {
        let summary = "Direct or through the relay, by a table of NAT types.";
        Description::new("nat-policy-standard", env!("CARGO_PKG_VERSION"), summary)
    }

    fn validate_config(configuration: &str) -> Result<(), String> {
        Settings::read(configuration).map(|_| ())
    }

    fn decide(context: &Context, question: &Question) -> Result<Verdict, Refusal> {
        let settings =
            Settings::read(&context.configuration).map_err(|why| Refusal::new("configuration", &why))?;
        Ok(settings.decide(question))
    }
}

impl Settings {
    fn decide(&self, question: &Question) -> Verdict {
        let Question { a, b, attempt, history, .. } = question;
        if attempt.relay_requested || attempt.direct_failures >= self.attempts {
            return relay(question);
        }
        let meets = table::meets(Kind::of(a), Kind::of(b));
        let local =
            !a.network.is_empty() && a.network == b.network && a.has_host_address && b.has_host_address;
        if local {
            return if meets == Meets::Yes { Verdict::Direct } else { patiently(LOCAL_PATIENCE) };
        }
        let doubtful = only_failed(*history);
        match meets {
            Meets::Yes if doubtful || table::rests_on_claims(a, b) => patiently(self.patience_ms),
            Meets::Yes => Verdict::Direct,
            Meets::Maybe | Meets::No if self.guess_ports && !doubtful && guessing_wins(a, b) => {
                guessing(self.guessing_patience_ms)
            }
            Meets::Maybe if !doubtful => patiently(self.patience_ms),
            Meets::Maybe | Meets::No if a.ipv6 && b.ipv6 => patiently(self.patience_ms),
            Meets::Maybe | Meets::No => relay(question),
        }
    }
}

/// Whether one has a port for each destination and the other one for all, seen by CDX: a claim is not enough to have
/// others send a thousand packets.
fn guessing_wins(a: &Party, b: &Party) -> bool {
    let cone = |party: &Party| matches!(party.mapping, Mapping::None | Mapping::EndpointIndependent);
    let symmetric =
        |party: &Party| matches!(party.mapping, Mapping::AddressDependent | Mapping::AddressAndPortDependent);
    let observed = a.mapping_origin == Origin::Observed && b.mapping_origin == Origin::Observed;
    observed && ((cone(a) && symmetric(b)) || (symmetric(a) && cone(b)))
}

fn guessing(milliseconds: u32) -> Verdict {
    Verdict::DirectGuessing(Effort { milliseconds, guessing: Guessing { next_ports: true, birthday: true } })
}

fn only_failed(history: Outcomes) -> bool {
    history.direct_worked == 0 && history.direct_failed >= TELLING_FAILURES
}

fn patiently(milliseconds: u32) -> Verdict {
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
    use switchhook_plugin::nat::{Attempt, Filtering};

    use super::*;

    #[test]
    fn nat_3_two_cones_talk_directly_and_two_symmetric_ones_through_the_relay() {
        assert_eq!(decide(party("a", CONE), party("b", CONE)), "direct");
        assert_eq!(decide(party("a", SYMMETRIC), party("b", SYMMETRIC)), "relay in eu");
    }

    #[test]
    fn nat_3_a_cone_and_a_symmetric_side_guess_ports_where_cdx_has_seen_both() {
        let guessing = "direct for 5000 ms, guessing";
        assert_eq!(decide(party("a", CONE), party("b", SYMMETRIC)), guessing);
        assert_eq!(decide(party("a", SYMMETRIC), party("b", CONE)), guessing);
        let restricted = Party { filtering: Filtering::AddressAndPortDependent, ..party("a", CONE) };
        assert_eq!(decide(restricted, party("b", SYMMETRIC)), guessing, "the table says no");
        let claims = Party { mapping_origin: Origin::Claimed, ..party("b", SYMMETRIC) };
        assert_eq!(decide(party("a", CONE), claims), "direct for 3000 ms");
        let without = Context::example(r#"{"guess_ports": false}"#);
        let verdict = Standard::decide(&without, &question(party("a", CONE), party("b", SYMMETRIC)));
        assert_eq!(text(&verdict.unwrap()), "direct for 3000 ms");
    }

    #[test]
    fn nat_4_after_a_failed_attempt_or_a_request_the_answer_is_relay() {
        let after = |direct_failures, relay_requested| {
            let attempt = Attempt { direct_failures, relay_requested };
            verdict(&Question { attempt, ..question(party("a", CONE), party("b", CONE)) })
        };
        assert_eq!(after(0, false), "direct");
        assert_eq!(after(1, false), "relay in eu");
        assert_eq!(after(0, true), "relay in eu");
    }

    #[test]
    fn nat_4_the_number_of_attempts_is_configured() {
        let mut question = question(party("a", CONE), party("b", CONE));
        question.attempt.direct_failures = 1;
        let context = Context::example(r#"{"attempts": 2}"#);
        assert_eq!(text(&Standard::decide(&context, &question).unwrap()), "direct");
    }

    #[test]
    fn nat_6_devices_of_one_network_try_it_even_where_the_table_says_no() {
        assert_eq!(decide(party("home", CONE), party("home", CONE)), "direct");
        assert_eq!(decide(party("home", SYMMETRIC), party("home", SYMMETRIC)), "direct for 1500 ms");
    }

    #[test]
    fn one_public_address_says_nothing_where_a_device_offers_no_address_of_its_own() {
        let hidden = Party { has_host_address: false, ..party("home", SYMMETRIC) };
        assert_eq!(decide(hidden.clone(), hidden), "relay in eu");
        assert_eq!(decide(party("", SYMMETRIC), party("", SYMMETRIC)), "relay in eu");
    }

    #[test]
    fn a_clients_word_alone_never_gives_up_the_relay() {
        let claims = Party {
            filtering: Filtering::EndpointIndependent,
            filtering_origin: Origin::Claimed,
            ..party("a", CONE)
        };
        assert_eq!(decide(claims.clone(), party("b", CONE)), "direct", "cones meet without the claim");
        assert_eq!(decide(claims, party("b", SYMMETRIC)), "direct for 3000 ms");
        let mapping = Party { mapping_origin: Origin::Claimed, ..party("a", CONE) };
        assert_eq!(decide(mapping, party("b", CONE)), "direct for 3000 ms");
    }

    #[test]
    fn networks_that_only_ever_failed_are_doubted() {
        let after = |a, b, worked, failed| {
            let history = Outcomes { direct_worked: worked, direct_failed: failed };
            verdict(&Question { history, ..question(party("a", a), party("b", b)) })
        };
        assert_eq!(after(CONE, CONE, 0, 3), "direct for 3000 ms");
        assert_eq!(after(CONE, CONE, 1, 3), "direct");
        assert_eq!(after(CONE, SYMMETRIC, 0, 3), "relay in eu");
    }

    #[test]
    fn ipv6_on_both_sides_is_worth_a_try() {
        let six = |network| Party { ipv6: true, ..party(network, SYMMETRIC) };
        assert_eq!(decide(six("a"), six("b")), "direct for 3000 ms");
        assert_eq!(decide(six("a"), party("b", SYMMETRIC)), "relay in eu");
    }

    #[test]
    fn a_relay_has_a_region_only_where_both_share_it() {
        let far = Party { region: "us".to_owned(), ..party("b", SYMMETRIC) };
        assert_eq!(decide(party("a", SYMMETRIC), far), "relay");
    }

    const CONE: Mapping = Mapping::EndpointIndependent;
    const SYMMETRIC: Mapping = Mapping::AddressAndPortDependent;

    fn decide(a: Party, b: Party) -> String {
        verdict(&question(a, b))
    }

    fn verdict(question: &Question) -> String {
        text(&Standard::decide(&Context::example("{}"), question).unwrap())
    }

    fn text(verdict: &Verdict) -> String {
        match verdict {
            Verdict::Direct => "direct".to_owned(),
            Verdict::Relay(RelayHint { region: None }) => "relay".to_owned(),
            Verdict::Relay(RelayHint { region: Some(region) }) => format!("relay in {region}"),
            Verdict::DirectThenRelay(patience) => format!("direct for {} ms", patience.milliseconds),
            Verdict::DirectGuessing(effort) => {
                assert!(effort.guessing.next_ports && effort.guessing.birthday);
                format!("direct for {} ms, guessing", effort.milliseconds)
            }
            Verdict::RelayUntilAccepted(hint) => format!("until accepted {hint:?}"),
            Verdict::Ask(requests) => format!("ask {requests:?}"),
        }
    }

    fn question(a: Party, b: Party) -> Question {
        Question {
            a,
            b,
            attempt: Attempt { direct_failures: 0, relay_requested: false },
            history: Outcomes { direct_worked: 0, direct_failed: 0 },
            answers: vec![],
        }
    }

    fn party(network: &str, mapping: Mapping) -> Party {
        Party {
            mapping,
            mapping_origin: Origin::Observed,
            filtering: Filtering::Unknown,
            filtering_origin: Origin::Observed,
            network: network.to_owned(),
            region: "eu".to_owned(),
            has_host_address: true,
            ipv6: false,
        }
    }
}
