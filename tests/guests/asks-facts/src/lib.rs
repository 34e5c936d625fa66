//! Tells how many devices the inviter has: a fine guest, for the imports.

use switchhook_plugin::{
    Context, Description, Refusal, facts,
    router::{AskAgain, Decision, Finally, InviteRouter, Plan, Question, Ring, Wave},
};

struct Guest;

switchhook_plugin::export!(InviteRouter: Guest);

impl InviteRouter for Guest {
    fn describe() -> Description {
        Description::new(
            "asks-facts",
            "1.0.0",
            "Tells how many devices the inviter has: a fine guest, for the imports.",
        )
    }

    fn route(_: &Context, question: &Question) -> Result<Decision, Refusal> {
        let devices = facts::devices_of(&question.invite.inviter);
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
            finally: Finally::GiveUp(format!("devices-{devices}")),
        }))
    }
}
