//! Plugins as a host meets them: good ones, the host's own, and those that misbehave.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod bombs;
mod builtin;
mod capabilities;
mod contract;
mod harness;
mod instructions;
mod sins;
mod upload;
