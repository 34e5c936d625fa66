//! Always the relay (NAT-3): neither side of a session learns the other's address.
//!
//! For tenants whose users must not be found by an address: helplines, shops, dating. It costs the tenant's relay
//! hosts every datagram, and the users a detour. There is nothing to configure.

use switchhook_plugin::{
    Context, Description, Refusal,
    nat::{NatPolicy, Question, RelayHint, Verdict},
};

struct RelayOnly;

switchhook_plugin::export!(NatPolicy: RelayOnly);

impl NatPolicy for RelayOnly {
    fn describe() -> Description {
        let summary = "Always through the relay: nobody learns anybody's address.";
        Description::new("nat-policy-relay-only", env!("CARGO_PKG_VERSION"), summary)
    }

    fn validate_config(configuration: &str) -> Result<(), String> {
        let empty = configuration.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let empty = empty.is_some_and(|inside| inside.trim().is_empty());
        if empty { Ok(()) } else { Err("there is nothing to configure: {}".to_owned()) }
    }

    fn decide(_: &Context, question: &Question) -> Result<Verdict, Refusal> {
        let (a, b) = (&question.a.region, &question.b.region);
        let region = (a == b && !a.is_empty()).then(|| a.clone());
        Ok(Verdict::Relay(RelayHint { region }))
    }
}

#[cfg(test)]
mod tests {
    use switchhook_plugin::nat::{Attempt, Filtering, Mapping, Origin, Outcomes, Party};

    use super::*;

    #[test]
    fn nat_3_even_two_open_devices_of_one_network_talk_through_the_relay() {
        assert_eq!(region(&question("home", ["eu", "eu"])), Some("eu".to_owned()));
        assert_eq!(region(&question("home", ["eu", "us"])), None);
        assert_eq!(region(&question("", ["", ""])), None);
    }

    #[test]
    fn there_is_nothing_to_configure() {
        assert_eq!((RelayOnly::validate_config("{}"), RelayOnly::validate_config(" { } ")), (Ok(()), Ok(())));
        for wrong in ["", "[]", r#"{"patience_ms": 1}"#] {
            assert!(RelayOnly::validate_config(wrong).is_err(), "{wrong}");
        }
    }

    /// Where the relay is to be.
    fn region(question: &Question) -> Option<String> {
        match RelayOnly::decide(&Context::example("{}"), question).unwrap() {
            Verdict::Relay(RelayHint { region }) => region,
            Verdict::Direct
            | Verdict::DirectThenRelay(_)
            | Verdict::DirectGuessing(_)
            | Verdict::RelayUntilAccepted(_)
            | Verdict::Ask(_) => panic!("not the relay"),
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
