//! The bus on a cluster of NATS: what it promises, and what comes of it when a server dies or freezes.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends there")]

mod bus {
    mod cluster;
    mod failures;
    mod promises;
}
