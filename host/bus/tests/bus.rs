//! The bus on a cluster of NATS: what it promises, and what comes of it when a server dies or freezes.
#![expect(clippy::unwrap_used, reason = "a test ends there")]

mod bus {
    mod failures;
    mod promises;
}
