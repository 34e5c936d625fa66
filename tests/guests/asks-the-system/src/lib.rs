//! Asks WASI what there is, or sleeps if told so. Built for a target without a system, it imports by name what the
//! standard library of others does.

use switchhook_plugin::{
    Context, Description, Refusal,
    router::{AskAgain, Decision, Finally, InviteRouter, Plan, Question, Ring, Wave},
};
use wasi::{
    cli::{environment::get_environment, stdout::get_stdout},
    clocks::{monotonic_clock, wall_clock},
    filesystem::preopens::get_directories,
    random::random::get_random_u64,
};

mod generated {
    wit_bindgen::generate!({
        path: "wit",
        world: "switchhook:asks-the-system/system",
        generate_all,
    });
}
use generated::wasi;

struct Guest;

switchhook_plugin::export!(InviteRouter: Guest);

impl InviteRouter for Guest {
    fn describe() -> Description {
        Description::new("asks-the-system", "1.0.0", "Asks WASI what there is, or sleeps if told so.")
    }

    fn route(context: &Context, question: &Question) -> Result<Decision, Refusal> {
        if context.configuration.contains("sleep") {
            monotonic_clock::subscribe_duration(1_000_000_000).block();
        }
        let (now, random) = (wall_clock::now(), get_random_u64());
        let (variables, directories) = (get_environment().len(), get_directories().len());
        let said = format!("{}-{random:016x}-{variables}-{directories}", now.seconds);
        let lines = if context.configuration.contains("chatter") { 5000 } else { 1 };
        for _ in 0..lines {
            let _ = get_stdout().blocking_write_and_flush(format!("{said}\n").as_bytes());
        }
        let ring =
            |target: &switchhook_plugin::router::Target| Ring { target: target.index, ring_time: 30_000 };
        Ok(Decision::Ring(Plan {
            waves: vec![Wave { rings: question.targets.iter().map(ring).collect(), starts_after: 0 }],
            ask_again: AskAgain::default(),
            resources: vec![],
            finally: Finally::GiveUp("no-answer".into()),
        }))
    }
}
