//! What bytes from strangers must never do, whatever they are.
//!
//! Each *body* is a function of bytes that panics where a rule is broken, and says whether the bytes
//! came as far as the rule. A fuzzer looks for bytes that break one (`targets/`, run by
//! `cargo xtask soak`); the corpus of each body (`corpus/<body>/`) is replayed by the ordinary tests.
//! Bodies of decoders that only their own crate sees stand there, in a module `fuzzing`.
//! What a fuzzer finds is mended, and its bytes join the corpus.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_in_result,
    reason = "a broken rule is a panic: that is what fuzzers look for"
)]

mod cdx;
mod contract_report;
mod exchange;
mod frames;
mod keys;
mod outbound;
mod records;
mod rollout;
mod sealed;
mod stun;
mod texts;
mod turn;
mod webhooks;

pub use cdx::cdx;
pub use contract_report::contract_report;
pub use exchange::exchange;
pub use frames::frames;
pub use outbound::outbound;
pub use records::records;
pub use rollout::rollout;
pub use sealed::sealed;
pub use stun::stun;
pub use switchhook_client::fuzzing::{datagram as client_datagram, handshake, mail, relay_stream};
pub use switchhook_delivery::smpp::fuzzing::pdus as smsc;
pub use switchhook_relay::fuzzing::request as relay_request;
pub use switchhook_server::fuzzing::{backup_manifest, forwarded, http_signature, relay_host};
pub use texts::texts;
pub use turn::turn;
pub use webhooks::webhooks;

/// A rule about any bytes; whether these came as far as the rule.
pub type Body = fn(&[u8]) -> bool;

/// All bodies, by the names of their corpora and of their targets.
pub const BODIES: [(&str, Body); 22] = [
    ("backup_manifest", backup_manifest),
    ("cdx", cdx),
    ("client_datagram", client_datagram),
    ("contract_report", contract_report),
    ("exchange", exchange),
    ("forwarded", forwarded),
    ("frames", frames),
    ("handshake", handshake),
    ("http_signature", http_signature),
    ("mail", mail),
    ("outbound", outbound),
    ("records", records),
    ("relay_host", relay_host),
    ("relay_request", relay_request),
    ("relay_stream", relay_stream),
    ("rollout", rollout),
    ("sealed", sealed),
    ("smsc", smsc),
    ("stun", stun),
    ("texts", texts),
    ("turn", turn),
    ("webhooks", webhooks),
];
