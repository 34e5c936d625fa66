//! Tests that cannot test on this machine: they pass, and say so by name.

use std::{
    net::{Ipv6Addr, UdpSocket},
    process::{Command, Stdio},
};

/// Whether a program is there in this version or a newer one; says so for this test where it is not.
pub fn has(test: &str, program: &str, least: u32) -> bool {
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).output();
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let numbers = said.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse::<u32>().ok());
    let found = numbers.take(1).any(|major| major >= least);
    if !found {
        say(test, &format!("{program} {least} or newer is not installed"));
    }
    found
}

/// Whether this machine has IPv6; says so for this test where it has not.
pub fn has_ipv6(test: &str) -> bool {
    let bound = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0));
    if let Err(why) = &bound {
        say(test, &format!("there is no IPv6 here ({why})"));
    }
    bound.is_ok()
}

/// Says that a test did not test, and why.
#[expect(clippy::print_stdout, reason = "whoever runs the tests reads it, and the test's report has it")]
pub fn say(test: &str, why: &str) {
    println!("skipped: {test}: {why}");
}
