//! The lab is what it says it is, and the table of `docs/NAT.md` is true in it.
#![expect(clippy::print_stdout, reason = "test harness")]

mod cdx;
mod kinds;
mod meeting;
mod relay;
mod sites;
