//! Answers with a megabyte.

use switchhook_plugin::{
    Context, Description, Refusal,
    router::{AskAgain, Decision, Finally, InviteRouter, Plan, Question, Ring, Wave},
};

struct Guest;

switchhook_plugin::export!(InviteRouter: Guest);

impl InviteRouter for Guest {
    fn describe() -> Description {
        Description::new("hands-out-too-much", "1.0.0", "Answers with a megabyte.")
    }

    fn route(_: &Context, question: &Question) -> Result<Decision, Refusal> {
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
            finally: Finally::GiveUp("x".repeat(1 << 20)),
        }))
    }
}
