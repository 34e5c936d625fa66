//! Rings every device of everybody invited, all at once (INV-2).
//!
//! Configuration, each field with its default: `{"ring_time_seconds": 30}`.

use serde::Deserialize;
use switchhook_plugin::{
    Context, Description, Refusal,
    router::{AskAgain, Decision, Finally, InviteRouter, Plan, Question, Ring, Wave},
};

struct RingAll;

switchhook_plugin::export!(InviteRouter: RingAll);

impl InviteRouter for RingAll {
    fn describe() -> Description {
        Description::new("route-ring-all", env!("CARGO_PKG_VERSION"), "Rings every device at once.")
    }

    fn validate_config(configuration: &str) -> Result<(), String> {
        Settings::read(configuration).map(|_| ())
    }

    fn route(context: &Context, question: &Question) -> Result<Decision, Refusal> {
        let settings =
            Settings::read(&context.configuration).map_err(|why| Refusal::new("configuration", &why))?;
        let ring_time = settings.ring_time_seconds * 1000;
        let rings: Vec<Ring> =
            question.targets.iter().map(|target| Ring { target: target.index, ring_time }).collect();
        let waves = if rings.is_empty() { vec![] } else { vec![Wave { rings, starts_after: 0 }] };
        Ok(Decision::Ring(Plan {
            waves,
            ask_again: AskAgain::default(),
            resources: vec![],
            finally: Finally::GiveUp("no-answer".to_owned()),
        }))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// 1 to 120.
    ring_time_seconds: u64,
}

impl Settings {
    fn read(configuration: &str) -> Result<Self, String> {
        let settings: Self = serde_json::from_str(configuration).map_err(|why| why.to_string())?;
        if !(1..=120).contains(&settings.ring_time_seconds) {
            return Err("ring_time_seconds is 1 to 120".to_owned());
        }
        Ok(settings)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { ring_time_seconds: 30 }
    }
}

#[cfg(test)]
mod tests {
    use switchhook_plugin::router::{Invite, Target};

    use super::*;

    #[test]
    fn inv_2_every_device_of_everybody_rings_at_once() {
        let plan = route("{}", &[(0, true), (0, false), (1, true)]);

        assert_eq!(plan.waves.len(), 1);
        let rings: Vec<_> = plan.waves[0].rings.iter().map(|ring| (ring.target, ring.ring_time)).collect();
        assert_eq!(rings, [(0, 30_000), (1, 30_000), (2, 30_000)]);
        assert_eq!(plan.waves[0].starts_after, 0);
    }

    #[test]
    fn nobody_to_ring_is_a_plan_without_waves() {
        assert!(route("{}", &[]).waves.is_empty());
    }

    #[test]
    fn the_ring_time_is_configured() {
        let plan = route(r#"{"ring_time_seconds": 45}"#, &[(0, true)]);
        assert_eq!(plan.waves[0].rings[0].ring_time, 45_000);
    }

    #[test]
    fn a_configuration_out_of_bounds_or_with_unknown_fields_is_refused() {
        assert!(RingAll::validate_config("{}").is_ok());
        for wrong in
            ["", r#"{"ring_time_seconds": 0}"#, r#"{"ring_time_seconds": 121}"#, r#"{"ringtime": 3}"#]
        {
            assert!(RingAll::validate_config(wrong).is_err(), "{wrong}");
        }
    }

    fn route(configuration: &str, targets: &[(u16, bool)]) -> Plan {
        let targets = (0..).zip(targets).map(|(index, &(user, online))| Target {
            index,
            user,
            kind: "phone".to_owned(),
            region: String::new(),
            online,
        });
        let question = Question {
            invite: Invite {
                inviter: "+15550100".to_owned(),
                invited: vec!["+15550101".to_owned(), "+15550102".to_owned()],
                purpose: "audio".to_owned(),
                inviter_region: String::new(),
            },
            targets: targets.collect(),
            so_far: vec![],
            answers: vec![],
        };
        match RingAll::route(&Context::example(configuration), &question) {
            Ok(Decision::Ring(plan)) => plan,
            other => panic!("{other:?}"),
        }
    }
}
