//! Rings whom its tenant's service names: a fine guest.
//!
//! Its configuration is the service's address in quotes. The service answers with the kind of device
//! to ring; every device rings where there is no answer. It tells what it heard, and a pair, in its log.

use switchhook_plugin::{
    Context, Description, Refusal, Request, key_value, log,
    router::{AskAgain, Decision, Finally, InviteRouter, Plan, Question, Ring, Wave},
};

struct Guest;

switchhook_plugin::export!(InviteRouter: Guest);

impl InviteRouter for Guest {
    fn describe() -> Description {
        Description::new("asks-the-service", "1.0.0", "Rings whom its tenant's service names.")
    }

    fn route(context: &Context, question: &Question) -> Result<Decision, Refusal> {
        let Some(answer) = question.answers.first() else {
            let url = context.configuration.trim_matches('"').to_owned();
            let body = question.invite.inviter.clone().into_bytes();
            return Ok(Decision::Ask(vec![Request { id: "crm".into(), url, body }]));
        };
        let kind = answer.outcome.as_ref().map(|kind| String::from_utf8_lossy(kind).into_owned());
        match &kind {
            Ok(kind) => log::info(&format!("the service says {kind}")),
            Err(why) => log::warn(&format!("no answer: {why}")),
        }
        if let Some(value) = key_value::get("last") {
            log::info(&format!("last is {}", String::from_utf8_lossy(&value)));
        }
        let wanted = |it: &str| kind.as_ref().map_or(true, |kind| kind == it);
        let rings = (question.targets.iter())
            .filter(|target| wanted(&target.kind))
            .map(|target| Ring { target: target.index, ring_time: 30_000 })
            .collect();
        Ok(Decision::Ring(Plan {
            waves: vec![Wave { rings, starts_after: 0 }],
            ask_again: AskAgain::default(),
            resources: vec![],
            finally: Finally::GiveUp("no-answer".into()),
        }))
    }
}
