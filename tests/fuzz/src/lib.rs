//! What bytes from strangers must never do, whatever they are.
//!
//! Each *body* is a function of bytes that panics where a rule is broken, and says whether the bytes
//! came as far as the rule. A fuzzer looks for bytes that break one (`targets/`, run by
//! `cargo xtask soak`); the corpus of each body (`corpus/<body>/`) is replayed by the ordinary tests.
//! What a fuzzer finds is mended, and its bytes join the corpus.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_in_result,
    reason = "a broken rule is a panic: that is what fuzzers look for"
)]

mod contract_report;
mod exchange;
mod outbound;
mod records;
mod rollout;
mod stun;
mod turn;

pub use contract_report::contract_report;
pub use exchange::exchange;
pub use outbound::outbound;
pub use records::records;
pub use rollout::rollout;
pub use stun::stun;
pub use turn::turn;

/// A rule about any bytes; whether these came as far as the rule.
pub type Body = fn(&[u8]) -> bool;

/// All bodies, by the names of their corpora and of their targets.
pub const BODIES: [(&str, Body); 7] = [
    ("contract_report", contract_report),
    ("exchange", exchange),
    ("outbound", outbound),
    ("records", records),
    ("rollout", rollout),
    ("stun", stun),
    ("turn", turn),
];
