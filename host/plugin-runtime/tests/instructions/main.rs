//! What one decision costs the processor, counted by callgrind: times are noisy, instructions are not.
//!
//! This program runs itself under valgrind, with few and with many decisions; the difference is theirs
//! alone. It is built without optimisation of ours, so the count says nothing about speed (`benches`
//! does), and much about a change that does more than before.
#![expect(
    clippy::expect_used,
    clippy::unwrap_in_result,
    clippy::unwrap_used,
    reason = "what is missing fails the test"
)]

use std::{
    env,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use switchhook_core::policy::{
    Context, Facts, Slot,
    route::{Invite, Question, Target},
};
use switchhook_plugin_runtime::{
    ActivePlugin, Deadlines, EngineSettings, Metrics, Runtime, RuntimeSettings, Slots, builtin,
};
use switchhook_protocol::time::Timestamp;

/// Instructions of one decision for five devices through the whole host path, as they were when it was last
/// looked at. Whoever makes it cheaper lowers this.
const DECISION: u64 = 294_000;

/// How far above it a change may come: allocators and hashing differ a little from run to run.
const TOLERANCE_PERCENT: u64 = 8;

/// Valgrind takes its time.
const FAR: Duration = Duration::from_mins(1);

/// Says to the inner run how many decisions are wanted.
const DECISIONS: &str = "SWITCHHOOK_DECISIONS";

#[test]
fn a_decision_costs_no_more_instructions_than_it_did() {
    let (few, many) = (100, 600);
    let (Some(less), Some(more)) = (instructions(few), instructions(many)) else {
        return say_skipped();
    };
    let each = more.saturating_sub(less) / (many - few);

    let most = DECISION + DECISION * TOLERANCE_PERCENT / 100;
    assert!(each <= most, "{each} instructions, where {DECISION} were enough");
    assert!(each >= DECISION / 2, "{each} instructions: lower DECISION, it guards nothing any more");
}

/// Not a test of its own: what the one above counts.
#[tokio::test]
#[ignore = "run under valgrind by the test above"]
async fn decisions() {
    let wanted: usize = env::var(DECISIONS).unwrap().parse().unwrap();
    let (slots, context) = slots().await;
    let (question, facts) = (question(), Arc::new(Facts::default()));
    for _ in 0..wanted {
        let decision = slots.route(&context, &question, &facts).await;
        assert_eq!(decision.failure, None);
    }
}

/// Of a whole run with so many decisions; none where there is no valgrind.
fn instructions(decisions: u64) -> Option<u64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    valgrind.arg(env::current_exe().unwrap()).args(["--exact", "decisions", "--ignored"]);
    let output = valgrind.env(DECISIONS, decisions.to_string()).stdin(Stdio::null()).output().ok()?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let collected = said.lines().find_map(|line| line.split_once("Collected :")).expect("a count").1;
    Some(collected.trim().parse().unwrap())
}

#[expect(clippy::print_stdout, reason = "whoever runs the tests reads it, and the test's report has it")]
fn say_skipped() {
    println!("skipped: a_decision_costs_no_more_instructions_than_it_did: valgrind is not installed");
}

/// The router that ships, on the smallest engine: valgrind has little address space.
async fn slots() -> (Slots, Context) {
    let engine = EngineSettings { instances: 1, large_instances: 1, memory_reservation: 64 << 20 };
    let deadlines = Deadlines { decision: FAR, step: FAR };
    let runtime = Runtime::new(RuntimeSettings { engine, deadlines, ..RuntimeSettings::default() }).unwrap();
    let router = builtin::all().iter().find(|builtin| builtin.slot == Slot::InviteRouter).unwrap();
    let plugin = runtime.compile(router.bytes, router.slot).await.unwrap();
    let slots = Slots::new(runtime, Metrics::default());
    let context = context();
    let configuration = router.configuration.to_owned();
    let active = ActivePlugin { name: "router".parse().unwrap(), version: 1, plugin, configuration };
    slots.activate(&context.tenant, active).unwrap();
    (slots, context)
}

fn context() -> Context {
    Context {
        tenant: "acme".parse().unwrap(),
        application: "phone".parse().unwrap(),
        now: Timestamp::from_millis(1_800_000_000_000),
        seed: (1, 2),
        subject: "s-1".to_owned(),
    }
}

fn question() -> Question {
    let target = Target { user: 0, kind: "phone".to_owned(), region: "eu-west".to_owned(), online: true };
    Question {
        invite: Invite {
            inviter: "+15550100".parse().unwrap(),
            invited: vec!["+15550101".parse().unwrap()],
            purpose: "audio".to_owned(),
            inviter_region: "eu-west".to_owned(),
        },
        targets: vec![target; 5],
        so_far: vec![],
        answers: vec![],
    }
}
