//! Writes more log than is kept, and lines that are too long, then a fine plan.

use switchhook_plugin::{
    Context, Description, Refusal, log,
    router::{AskAgain, Decision, Finally, InviteRouter, Plan, Question, Ring, Wave},
};

struct Guest;

switchhook_plugin::export!(InviteRouter: Guest);

impl InviteRouter for Guest {
    fn describe() -> Description {
        Description::new(
            "floods-log",
            "1.0.0",
            "Writes more log than is kept, and lines that are too long, then a fine plan.",
        )
    }

    fn route(_: &Context, question: &Question) -> Result<Decision, Refusal> {
        for _ in 0..100 {
            log::warn(&"ü".repeat(1000));
        }
        Ok(Decision::Ring(Plan {
            waves: vec![Wave {
                rings: question
                    .targets
                    .iter()
                    .map(|target| Ring { target: target.index, ring_time: 30_000 })
                    .collect(),
                starts_after: 0,
            }],
            ask_again: AskAgain::default(),
            resources: vec![],
            finally: Finally::GiveUp("no-answer".to_owned()),
        }))
    }
}
