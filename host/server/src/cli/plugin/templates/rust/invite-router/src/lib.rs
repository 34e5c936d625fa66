//! Rings phones first, and whatever else there is some seconds later.
//!
//! Configuration, each field with its default: `{"rest_after_seconds": 20, "ring_seconds": 30}`.

use serde::Deserialize;
use switchhook_plugin::{
    Context, Description, Refusal, log,
    router::{AskAgain, Decision, Finally, InviteRouter, Plan, Question, Ring, Target, Wave},
};

struct PhonesFirst;

switchhook_plugin::export!(InviteRouter: PhonesFirst);

impl InviteRouter for PhonesFirst {
    fn describe() -> Description {
        let summary = "Rings phones first, and whatever else there is some seconds later.";
        Description::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), summary)
    }

    fn validate_config(configuration: &str) -> Result<(), String> {
        Settings::read(configuration).map(drop)
    }

    fn route(context: &Context, question: &Question) -> Result<Decision, Refusal> {
        let settings =
            Settings::read(&context.configuration).map_err(|why| Refusal::new("configuration", &why))?;
        let first = settings.wave(question, 0, |target| target.kind == "phone");
        let rest = settings.wave(question, settings.rest_after_seconds, |target| target.kind != "phone");
        log::info(&format!("phones: {}, others: {}", first.rings.len(), rest.rings.len()));
        Ok(Decision::Ring(Plan {
            // A wave that rings nobody is not allowed.
            waves: [first, rest].into_iter().filter(|wave| !wave.rings.is_empty()).collect(),
            ask_again: AskAgain::default(),
            resources: vec![],
            finally: Finally::GiveUp("no-answer".into()),
        }))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// At most 120.
    rest_after_seconds: u64,
    /// 1 to 120.
    ring_seconds: u64,
}

impl Settings {
    fn read(configuration: &str) -> Result<Self, String> {
        let settings: Self = serde_json::from_str(configuration).map_err(|why| why.to_string())?;
        if settings.rest_after_seconds > 120 || !(1..=120).contains(&settings.ring_seconds) {
            return Err("rest_after_seconds is 0 to 120, ring_seconds 1 to 120".into());
        }
        Ok(settings)
    }

    fn wave(&self, question: &Question, after_seconds: u64, rings: impl Fn(&Target) -> bool) -> Wave {
        let targets = question.targets.iter().filter(|target| rings(target));
        let ring_time = self.ring_seconds * 1000;
        Wave {
            rings: targets.map(|target| Ring { target: target.index, ring_time }).collect(),
            starts_after: after_seconds * 1000,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { rest_after_seconds: 20, ring_seconds: 30 }
    }
}
