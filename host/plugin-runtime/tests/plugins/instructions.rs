//! What one decision costs the processor, counted.

use std::time::Duration;

use switchhook_core::policy::Slot;
use switchhook_plugin_runtime::{Deadlines, EngineSettings, RuntimeSettings, builtin};
use switchhook_programs::valgrind::{Cost, repetitions};

use crate::harness::{Host, settings};

/// One decision for five devices through the whole host path.
const DECISION: Cost = Cost::Instructions(294_000);

/// Valgrind takes its time.
const FAR: Duration = Duration::from_mins(1);

#[test]
fn a_decision_costs_no_more_instructions_than_it_did() {
    let test = "a_decision_costs_no_more_instructions_than_it_did";
    DECISION.guard(test, "instructions::decisions", [100, 600]);
}

/// Not a test of its own: what the one above counts.
#[tokio::test]
#[ignore = "run under valgrind by the test above"]
async fn decisions() {
    let host = host().await;
    for _ in 0..repetitions() {
        let decision = host.route(5).await;
        assert_eq!(decision.failure, None);
    }
}

/// The router that ships, on the smallest engine: valgrind has little address space.
async fn host() -> Host {
    let engine = EngineSettings { instances: 1, large_instances: 1, memory_reservation: 64 << 20 };
    let deadlines = Deadlines { decision: FAR, step: FAR, webhook: FAR };
    let host = Host::with(RuntimeSettings { engine, deadlines, ..settings() });
    let router = builtin::all().iter().find(|builtin| builtin.slot == Slot::InviteRouter).unwrap();
    host.activate(router.bytes, router.slot, router.configuration).await;
    host
}
