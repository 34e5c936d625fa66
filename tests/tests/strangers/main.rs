//! What strangers try: bad input on every edge of the host, and the walls between tenants.
//!
//! Each gets its published code, whatever can go on goes on, and nothing is stored: rows are counted
//! by table before and after ([`switchhook_tests::host::Host::stored`]).
#![expect(clippy::large_futures, clippy::indexing_slicing, reason = "tests: what is missing fails them")]

mod autobahn;
mod bad_input;
mod flood;
mod guesses;
mod registration;
mod sessions;
mod signed;
mod transit;
mod twilio;
mod walls;

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use serde_json::Value;
use switchhook_protocol::{error::ErrorCode, time::Timestamp};
use switchhook_tests::{
    host::{Host, tenant},
    raw::{Raw, code_of},
};

const ALICE: &str = "+15550100";
const BOB: &str = "+15550101";

/// A device that is enrolled, on a socket that says whatever a test wants.
async fn stranger(host: &Host) -> Result<Raw> {
    let (_, identity) = host.stranger().await?.leave().await;
    Raw::welcomed(host.addresses().http, &tenant("default")?, &identity).await
}

/// The published code of an error.
fn published(message: &Value) -> Option<ErrorCode> {
    let word = code_of(message);
    ErrorCode::ALL.iter().copied().find(|code| code.word() == word)
}

#[expect(clippy::disallowed_methods, reason = "a transit outside of the host has a clock of its own")]
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(switchhook_protocol::time::millis(since))
}

/// A text with each of its characters changed, one at a time.
fn others(text: &str) -> impl Iterator<Item = String> {
    (0..text.len()).map(|at| {
        let letters = text.chars().enumerate();
        letters.map(|(index, letter)| if index == at { other(letter) } else { letter }).collect()
    })
}

const fn other(letter: char) -> char {
    if letter == 'A' { 'B' } else { 'A' }
}
