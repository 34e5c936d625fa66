//! Three nodes on one PostgreSQL and a cluster of NATS: what one begins any other goes on with.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends there")]

mod calls;
mod deaths;
mod operation;
mod stage;

// These and the tests of the crates start the same servers.
#[path = "../../../host/bus/tests/bus/cluster.rs"]
mod nats;
#[path = "../../../host/storage/tests/storage/server.rs"]
mod postgres;
