//! Programs of others that tests and benches call: servers that stand below ours, and what counts instructions.
//!
//! Each is started for those of this machine and ends with them. Where one is not installed, who calls it hears so.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "a test ends where its programs do not do as expected"
)]

pub mod nats;
pub mod postgres;
pub mod skipped;
pub mod valgrind;
