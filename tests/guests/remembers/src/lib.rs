//! Counts its calls in a static, and tells the number.

use std::sync::atomic::{AtomicU32, Ordering};

use switchhook_plugin::{
    Context, Description, Refusal,
    router::{AskAgain, Decision, Finally, InviteRouter, Plan, Question, Ring, Wave},
};

static CALLS: AtomicU32 = AtomicU32::new(0);

struct Guest;

switchhook_plugin::export!(InviteRouter: Guest);

impl InviteRouter for Guest {
    fn describe() -> Description {
        Description::new("remembers", "1.0.0", "Counts its calls in a static, and tells the number.")
    }

    fn route(_: &Context, question: &Question) -> Result<Decision, Refusal> {
        let calls = CALLS.fetch_add(1, Ordering::Relaxed);
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
            finally: Finally::GiveUp(format!("calls-before-{calls}")),
        }))
    }
}
