//! What one decision costs the processor, counted by callgrind: times are noisy, instructions are not.
//!
//! This program runs itself under valgrind, with few and with many decisions; the difference is theirs
//! alone. It is built without optimisation of ours, so the count says nothing about speed (`benches`
//! does), and much about a change that does more than before.

use std::{
    env,
    process::{Command, Stdio},
    time::Duration,
};

use switchhook_core::policy::Slot;
use switchhook_plugin_runtime::{Deadlines, EngineSettings, RuntimeSettings, builtin};

use crate::harness::{Host, settings};

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
    let host = host().await;
    for _ in 0..wanted {
        let decision = host.route(5).await;
        assert_eq!(decision.failure, None);
    }
}

/// Of a whole run with so many decisions; none where there is no valgrind.
fn instructions(decisions: u64) -> Option<u64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    valgrind.arg(env::current_exe().unwrap()).args(["--exact", "instructions::decisions", "--ignored"]);
    let output = valgrind.env(DECISIONS, decisions.to_string()).stdin(Stdio::null()).output().ok()?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let collected = said.lines().find_map(|line| line.split_once("Collected :"));
    let (_, count) = collected.unwrap_or_else(|| panic!("no count in {said}"));
    Some(count.trim().parse().unwrap())
}

#[expect(clippy::print_stdout, reason = "whoever runs the tests reads it, and the test's report has it")]
fn say_skipped() {
    println!("skipped: a_decision_costs_no_more_instructions_than_it_did: valgrind is not installed");
}

/// The router that ships, on the smallest engine: valgrind has little address space.
async fn host() -> Host {
    let engine = EngineSettings { instances: 1, large_instances: 1, memory_reservation: 64 << 20 };
    let deadlines = Deadlines { decision: FAR, step: FAR };
    let host = Host::with(RuntimeSettings { engine, deadlines, ..settings() });
    let router = builtin::all().iter().find(|builtin| builtin.slot == Slot::InviteRouter).unwrap();
    host.activate(router.bytes, router.slot, router.configuration).await;
    host
}
