//! The harness of the end-to-end tests: a real server, a carrier beside it, and devices that use the
//! real client over real sockets.
//!
//! [`host::Host`] is a server in this process, with a data folder of its own; [`process::Process`] is
//! one in a process that a test may end anywhere, and [`stage::Stage`] one that comes back, with a time of its own. A [`phone::Phone`] is a device of a person, a
//! [`raw::Raw`] one that says whatever a test wants.
//! At the other end of gateways stand programs of others ([`node`], [`python`]). Whatever should happen is waited for, with a
//! guard ([`waiting`]); nothing sleeps.

pub mod admin;
pub mod application;
pub mod certificates;
mod counterparts;
pub mod dovecot;
pub mod front;
pub mod host;
pub mod line;
pub mod node;
pub mod phone;
pub mod port;
pub mod process;
pub mod profile;
pub mod python;
pub mod raw;
pub mod relay_host;
pub mod service;
pub mod signed;
pub mod smsc;
pub mod smtp;
pub mod stage;
pub mod stored;
pub mod twilio;
pub mod waiting;

pub use switchhook_programs::skipped;
