//! The lab is what it says it is, and the table of `docs/NAT.md` is true in it.
#![expect(clippy::print_stdout, reason = "test harness")]

mod calls;
mod cdx;
mod families;
mod first_byte;
mod fragments;
mod guesses;
mod kinds;
mod matrix;
mod meeting;
mod no_udp;
mod relay;
mod sites;
mod surroundings;
mod switchboard;
mod turn;

use std::process::Command;

use anyhow::Result;
use switchhook_netlab::Lab;

/// The lab for a test that needs these of coturn's programs; where it cannot be had, the test says so.
fn lab_with(test: &str, programs: &[&str]) -> Result<Option<Lab>> {
    let missing = programs.iter().find(|program| Command::new(program).arg("-h").output().is_err());
    if let Some(program) = missing {
        println!("skipped: {test}: {program} is not installed (Debian package coturn)");
        return Ok(None);
    }
    Lab::or_skip(test)
}
