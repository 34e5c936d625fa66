//! Switchhook: the signaling server whose every policy is a plugin.
//!
//! [`Server::start`] opens the data folder (and makes it at the first start), binds every socket and
//! returns a running server that knows its addresses; [`Server::shutdown`] ends it in two stages.
//! What happens on each message stands in `flows`, one short function a message; everything else is
//! the edge around it: sockets (`ws`), HTTP (`http`), workers for the outbox and for timers.
//!
//! The binary is [`cli`]; `switchhook demo` is [`demo`].

mod app;
mod authority;
mod backup;
mod bounds;
mod causes;
pub mod cli;
mod clock;
mod decisions;
pub mod demo;
mod flows;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod granted;
mod http;
#[cfg(feature = "in-process")]
pub mod in_process;
mod keys;
mod lifecycle;
mod limits;
mod listen;
mod metrics;
mod nodes;
mod online;
mod outbound;
mod outbox;
mod passwords;
mod places;
mod plugins;
mod presence;
mod rates;
mod refused;
mod relay_hosts;
mod relayed;
mod sandbox;
mod secrets;
pub mod settings;
mod smscs;
mod tenants;
mod timers;
mod ws;

pub use crate::{
    backup::BackupError,
    decisions::DecisionRecord,
    flows::text::{TextAccepted, TextReport},
    lifecycle::{Addresses, Server, StartError},
    listen::tls::CertificateError,
    sandbox::{
        Carrier, NotTaken, SandboxFile,
        mailboxes::Mailboxes,
        tenant::{SANDBOX, SANDBOX_NUMBER},
    },
    secrets::{ADMIN_TOKEN, ROOT_KEYS, SecretsError},
    settings::Settings,
    tenants::DEFAULT as DEFAULT_TENANT,
};

/// A named point where a test may end the process; nothing without the feature `fail-points`.
#[cfg(feature = "fail-points")]
pub(crate) fn fail_point(name: &str) {
    tracing::trace!(target: "fail_point", point = name, "passed");
    fail::fail_point!(name, |_| std::process::abort());
}

#[cfg(not(feature = "fail-points"))]
pub(crate) const fn fail_point(_: &str) {}
