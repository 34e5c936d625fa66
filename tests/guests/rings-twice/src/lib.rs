//! Rings the first device twice.

use switchhook_plugin::{
    Context, Description, Refusal,
    router::{AskAgain, Decision, Finally, InviteRouter, Plan, Question, Ring, Wave},
};

struct Guest;

switchhook_plugin::export!(InviteRouter: Guest);

impl InviteRouter for Guest {
    fn describe() -> Description {
        Description::new("rings-twice", "1.0.0", "Rings the first device twice.")
    }

    fn route(_: &Context, _: &Question) -> Result<Decision, Refusal> {
        Ok(Decision::Ring(Plan {
            waves: vec![Wave { rings: vec![Ring { target: 0, ring_time: 30_000 }; 2], starts_after: 0 }],
            ask_again: AskAgain::default(),
            resources: vec![],
            finally: Finally::GiveUp("no-answer".to_owned()),
        }))
    }
}
