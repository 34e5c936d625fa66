//! End to end: the real server, the real client, real sockets.
//!
//! What strangers and wrong input meet stands in `tests/strangers`, deaths of the process in `tests/crash`.
#![expect(
    clippy::string_slice,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests: what is missing fails them"
)]

mod backup;
mod call;
mod explain;
mod health;
mod invitation;
mod late;
mod limits;
mod mailbox;
mod nat;
mod postgres;
mod registration;
mod routing;
mod session;
mod signed;
mod take;
mod three;
mod tickets;
mod tls;
mod turn;
