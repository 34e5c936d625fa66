//! Rings phones, and what else there is some seconds later: a fine guest.
//!
//! Its configuration is the pause in seconds, as a number.

use switchhook_plugin::{
    Context, Description, Refusal,
    router::{AskAgain, Decision, Finally, InviteRouter, Plan, Question, Ring, Wave},
};

struct Guest;

switchhook_plugin::export!(InviteRouter: Guest);

impl InviteRouter for Guest {
    fn describe() -> Description {
        Description::new("hunts", "1.0.0", "Rings phones, and what else there is some seconds later.")
    }

    fn validate_config(configuration: &str) -> Result<(), String> {
        pause(configuration).map(drop).ok_or_else(|| "the pause is 1 to 60 seconds".to_owned())
    }

    fn route(context: &Context, question: &Question) -> Result<Decision, Refusal> {
        let pause = pause(&context.configuration).unwrap_or(20);
        let wave = |phones: bool, starts_after| Wave {
            rings: (question.targets.iter())
                .filter(|target| (target.kind == "phone") == phones)
                .map(|target| Ring { target: target.index, ring_time: 30_000 })
                .collect(),
            starts_after,
        };
        let mut waves = vec![wave(true, 0), wave(false, pause * 1000)];
        waves.retain(|wave| !wave.rings.is_empty());
        switchhook_plugin::log::info("hunting");
        Ok(Decision::Ring(Plan {
            waves,
            ask_again: AskAgain::default(),
            resources: vec![],
            finally: Finally::GiveUp("no-answer".into()),
        }))
    }
}

fn pause(configuration: &str) -> Option<u64> {
    if configuration == "{}" {
        return Some(20);
    }
    configuration.parse().ok().filter(|pause| (1..=60).contains(pause))
}
