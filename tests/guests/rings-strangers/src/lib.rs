//! Rings a device that is not in the list.

use switchhook_plugin::{
    Context, Description, Refusal,
    router::{AskAgain, Decision, Finally, InviteRouter, Plan, Question, Ring, Wave},
};

struct Guest;

switchhook_plugin::export!(InviteRouter: Guest);

impl InviteRouter for Guest {
    fn describe() -> Description {
        Description::new("rings-strangers", "1.0.0", "Rings a device that is not in the list.")
    }

    fn route(_: &Context, question: &Question) -> Result<Decision, Refusal> {
        let target = u16::try_from(question.targets.len()).unwrap_or(u16::MAX);
        Ok(Decision::Ring(Plan {
            waves: vec![Wave { rings: vec![Ring { target, ring_time: 30_000 }], starts_after: 0 }],
            ask_again: AskAgain::default(),
            resources: vec![],
            finally: Finally::GiveUp("no-answer".to_owned()),
        }))
    }
}
