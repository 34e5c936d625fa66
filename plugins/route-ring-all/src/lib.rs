//! Rings every device of everybody invited (INV-2): all at once, or some kinds of device first.
//!
//! Configuration, each field with its default:
//! `{"ring_time_seconds": 30, "first_kinds": [], "others_after_seconds": 5}`.

use serde::Deserialize;
use switchhook_plugin::{
    Context, Description, Refusal,
    router::{AskAgain, Decision, Finally, InviteRouter, Plan, Question, Ring, Target, Wave},
};

struct RingAll;

switchhook_plugin::export!(InviteRouter: RingAll);

impl InviteRouter for RingAll {
    fn describe() -> Description {
        Description::new(
            "route-ring-all",
            env!("CARGO_PKG_VERSION"),
            "Rings every device, all at once or some kinds first.",
        )
    }

    fn validate_config(configuration: &str) -> Result<(), String> {
        Settings::read(configuration).map(|_| ())
    }

    fn route(context: &Context, question: &Question) -> Result<Decision, Refusal> {
        let settings =
            Settings::read(&context.configuration).map_err(|why| Refusal::new("configuration", &why))?;
        Ok(Decision::Ring(Plan {
            waves: settings.waves(&question.targets),
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
    /// Devices of these kinds ring first; of none, all ring at once.
    first_kinds: Vec<String>,
    /// How much later the others ring, if somebody rings first: 1 to 60.
    others_after_seconds: u64,
}

impl Settings {
    fn read(configuration: &str) -> Result<Self, String> {
        let settings: Self = serde_json::from_str(configuration).map_err(|why| why.to_string())?;
        if !(1..=120).contains(&settings.ring_time_seconds) {
            return Err("ring_time_seconds is 1 to 120".to_owned());
        }
        if !(1..=60).contains(&settings.others_after_seconds) {
            return Err("others_after_seconds is 1 to 60".to_owned());
        }
        Ok(settings)
    }

    /// One wave, or two where there are devices to ring first and others.
    fn waves(&self, targets: &[Target]) -> Vec<Wave> {
        let goes_first = |target: &&Target| self.first_kinds.contains(&target.kind);
        let (first, others): (Vec<_>, Vec<_>) = targets.iter().partition(goes_first);
        let pause = if first.is_empty() { 0 } else { self.others_after_seconds * 1000 };
        let waves = [(first, 0), (others, pause)].map(|(targets, starts_after)| {
            let ring_time = self.ring_time_seconds * 1000;
            let rings = targets.into_iter().map(|target| Ring { target: target.index, ring_time });
            Wave { rings: rings.collect(), starts_after }
        });
        waves.into_iter().filter(|wave| !wave.rings.is_empty()).collect()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { ring_time_seconds: 30, first_kinds: vec![], others_after_seconds: 5 }
    }
}

#[cfg(test)]
mod tests {
    use switchhook_plugin::router::Invite;

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
    fn devices_of_some_kinds_ring_first() {
        let waves = |configuration: &str, kinds: &[&str]| {
            let targets = (0..).zip(kinds).map(|(index, kind)| target(index, 0, kind, true)).collect();
            let rung = |wave: &Wave| wave.rings.iter().map(|ring| ring.target).collect::<Vec<_>>();
            let plan = plan(configuration, targets);
            plan.waves.iter().map(|wave| (wave.starts_after, rung(wave))).collect::<Vec<_>>()
        };
        let first = r#"{"first_kinds": ["phone", "watch"], "others_after_seconds": 3}"#;
        let mixed = waves(first, &["tablet", "phone", "desktop", "watch"]);
        assert_eq!(mixed, [(0, vec![1, 3]), (3_000, vec![0, 2])]);
        assert_eq!(waves(first, &["phone"]), [(0, vec![0])]);
        // Nobody waits for a device that is not there.
        assert_eq!(waves(first, &["tablet"]), [(0, vec![0])]);
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
        for wrong in [
            "",
            r#"{"ring_time_seconds": 0}"#,
            r#"{"ring_time_seconds": 121}"#,
            r#"{"ringtime": 3}"#,
            r#"{"others_after_seconds": 0}"#,
            r#"{"others_after_seconds": 61}"#,
            r#"{"first_kinds": "phone"}"#,
        ] {
            assert!(RingAll::validate_config(wrong).is_err(), "{wrong}");
        }
    }

    fn route(configuration: &str, targets: &[(u16, bool)]) -> Plan {
        let of = |(index, &(user, online)): (u16, &(u16, bool))| target(index, user, "phone", online);
        plan(configuration, (0..).zip(targets).map(of).collect())
    }

    fn target(index: u16, user: u16, kind: &str, online: bool) -> Target {
        Target { index, user, kind: kind.to_owned(), region: String::new(), online }
    }

    fn plan(configuration: &str, targets: Vec<Target>) -> Plan {
        let question = Question {
            invite: Invite {
                inviter: "+15550100".to_owned(),
                invited: vec!["+15550101".to_owned(), "+15550102".to_owned()],
                purpose: "audio".to_owned(),
                inviter_region: String::new(),
            },
            targets,
            so_far: vec![],
            answers: vec![],
        };
        match RingAll::route(&Context::example(configuration), &question) {
            Ok(Decision::Ring(plan)) => plan,
            other => panic!("{other:?}"),
        }
    }
}
