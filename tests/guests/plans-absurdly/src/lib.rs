//! Plans what is valid WIT and makes no sense; the invite's purpose says what.

use switchhook_plugin::{
    Context, Description, Refusal,
    router::{AskAgain, Decision, Finally, InviteRouter, Plan, Question, Ring, Wave},
};

struct Guest;

switchhook_plugin::export!(InviteRouter: Guest);

impl InviteRouter for Guest {
    fn describe() -> Description {
        Description::new("plans-absurdly", "1.0.0", "Plans what is valid WIT and makes no sense.")
    }

    fn route(_: &Context, question: &Question) -> Result<Decision, Refusal> {
        let ring = |ring_time| vec![Ring { target: 0, ring_time }];
        let wave = |ring_time| Wave { rings: ring(ring_time), starts_after: 0 };
        let (waves, finally) = match &*question.invite.purpose {
            "waves" => ((0..10_000).map(|_| wave(1_000)).collect(), Finally::GiveUp("no-answer".into())),
            "nine-waves" => ((0..9).map(|_| wave(1_000)).collect(), Finally::GiveUp("no-answer".into())),
            "no-time" => (vec![wave(0)], Finally::GiveUp("no-answer".into())),
            "for-ever" => (vec![wave(u64::MAX)], Finally::GiveUp("no-answer".into())),
            "never" => {
                let late = Wave { rings: ring(1_000), starts_after: u64::MAX };
                (vec![late], Finally::GiveUp("no-answer".into()))
            }
            "backwards" => {
                let first = Wave { rings: ring(1_000), starts_after: 2_000 };
                let second = Wave { rings: vec![Ring { target: 1, ring_time: 1_000 }], starts_after: 1_000 };
                (vec![first, second], Finally::GiveUp("no-answer".into()))
            }
            "empty-wave" => {
                (vec![Wave { rings: vec![], starts_after: 0 }], Finally::GiveUp("no-answer".into()))
            }
            "loop" => (vec![wave(1_000)], Finally::Forward(question.invite.inviter.clone())),
            _ => (vec![wave(1_000)], Finally::GiveUp("no reason at all".into())),
        };
        Ok(Decision::Ring(Plan { waves, ask_again: AskAgain::default(), resources: vec![], finally }))
    }
}
