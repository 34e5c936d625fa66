//! The harness of the end-to-end tests: a real server, a carrier beside it, and devices that use the
//! real client over real sockets.
//!
//! [`host::Host`] is a server in this process, with a data folder of its own; [`process::Process`] is
//! one in a process that a test may end anywhere. A [`phone::Phone`] is a device of a person, a
//! [`raw::Raw`] one that says whatever a test wants. Whatever should happen is waited for, with a
//! guard ([`waiting`]); nothing sleeps.

pub mod admin;
pub mod certificates;
pub mod front;
pub mod host;
pub mod phone;
pub mod process;
pub mod python;
pub mod raw;
pub mod service;
pub mod signed;
pub mod stored;
pub mod waiting;
