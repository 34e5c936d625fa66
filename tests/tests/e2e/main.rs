//! End to end: the real server, the real client, real sockets.
//!
//! What strangers and wrong input meet stands in `tests/strangers`, deaths of the process in `tests/crash`.
#![expect(
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests: what is missing fails them"
)]

mod away;
mod backup;
mod call;
mod carriers;
mod certificates;
mod closing;
mod conversions;
mod elsewhere;
mod email;
mod exchange;
mod explain;
mod gateways;
mod health;
mod imap;
mod invitation;
mod late;
mod limits;
mod link_race;
mod mail;
mod mail_doubt;
mod mailbox;
mod nat;
mod numbers;
mod open;
mod postgres;
mod profile;
mod push_token;
mod reach;
mod registration;
mod relay_hosts;
mod relay_peers;
mod repeat;
mod rotated;
mod routing;
mod sandbox;
mod session;
mod signed;
mod smpp;
mod smsc;
mod smtp;
mod starttls;
mod store;
mod take;
mod three;
mod tickets;
mod tls;
mod turn;
mod twilio;
mod two_numbers;
mod validation;
