//! Invitations at random: no difference to the reference.

use std::env;

use switchhook_programs::valgrind::{Cost, repetitions};

/// Runs unless told otherwise: half a minute.
const RUNS: u64 = 200;

/// What a play that plays everything has devices hear.
const HEARD: [&str; 20] = [
    "accept of",
    "accept of to be taken",
    "cancel: answered-elsewhere",
    "cancel: cancelled",
    "cancel: no-answer",
    "decline of busy",
    "decline of declined",
    "ended: hung-up by",
    "ended: lost by",
    "invite",
    "left hung-up",
    "left hung-up, renewed",
    "outcome of all-declined nobody",
    "outcome of busy nobody",
    "outcome of no-answer nobody",
    "rerouted to 1 for 10000 ms",
    "rerouted to 1 for 7000 ms",
    "rerouted to 1 for 9000 ms",
    "ringing of",
    "taken",
];

/// INV-3, INV-4, INV-6, INV-7, INV-8, INV-11.restart, INV-15, INV-17
#[tokio::test]
async fn invitations_at_random_are_those_of_the_reference() {
    let runs = told("SWITCHHOOK_MODEL_RUNS").unwrap_or(RUNS);
    let first = told("SWITCHHOOK_MODEL_SEED").unwrap_or(0);

    let played = Box::pin(switchhook_model::play(first..first + runs)).await;

    let played = played.unwrap_or_else(|difference| panic!("{difference:?}"));
    let missing: Vec<_> = HEARD.iter().filter(|heard| !played.contains_key(**heard)).collect();
    assert!(missing.is_empty(), "{missing:?} were not heard, but {played:?}");
}

/// What flows and storage do for an invite that rings two devices, is accepted and ended.
const CALL: [Cost; 2] = [Cost::Instructions(18_600_000), Cost::Allocations(2_735)];

#[test]
fn a_call_costs_no_more_instructions_and_allocations_than_it_did() {
    let test = "a_call_costs_no_more_instructions_and_allocations_than_it_did";
    for cost in CALL {
        cost.guard(test, "calls", [1, 8]);
    }
}

/// Not a test of its own: what the one above counts.
#[tokio::test]
#[ignore = "run under valgrind by the test above"]
async fn calls() {
    let compiler = env!("CARGO_BIN_EXE_switchhook-by-clock");
    Box::pin(switchhook_model::call(compiler, repetitions())).await.unwrap();
}

fn told(name: &str) -> Option<u64> {
    env::var(name).ok()?.parse().ok()
}
