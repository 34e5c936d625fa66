//! Invitations at random, on a process of the server and over sockets: no difference to the reference.

use std::env;

/// Runs unless told otherwise: a minute alone on a machine.
const RUNS: u64 = 20;

/// What such a play has devices hear.
const HEARD: [&str; 8] = [
    "accept of",
    "cancel: answered-elsewhere",
    "cancel: no-answer",
    "decline of declined",
    "ended: hung-up by",
    "invite",
    "ringing of",
    "told by",
];

/// INV-3, INV-4, INV-6, INV-7, INV-8, INV-11.restart, INV-15, INV-17
#[tokio::test]
async fn invitations_at_random_over_sockets_are_those_of_the_reference() {
    let runs = told("SWITCHHOOK_MODEL_RUNS_OVER_SOCKETS").unwrap_or(RUNS);
    let first = told("SWITCHHOOK_MODEL_SEED").unwrap_or(0);

    let program = env!("CARGO_BIN_EXE_switchhook-by-clock");
    let played = Box::pin(switchhook_model::play_over_sockets(program, first..first + runs)).await;

    let played = played.unwrap_or_else(|difference| panic!("{difference:?}"));
    let missing: Vec<_> = HEARD.iter().filter(|heard| !played.contains_key(**heard)).collect();
    assert!(missing.is_empty(), "{missing:?} were not heard, but {played:?}");
}

fn told(name: &str) -> Option<u64> {
    env::var(name).ok()?.parse().ok()
}
