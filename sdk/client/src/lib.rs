//! Switchhook for apps.

mod client;
mod connection;
mod enrolment;
pub mod fake;
pub mod identity;
pub mod limits;
pub mod network;
pub mod registration;
pub mod ringer;
pub mod secure;
mod sessions;
mod settings;

pub use client::{CallError, Client, ClientEvent, ConnectError, Events, Finished};
pub use connection::dial::DialError;
pub use enrolment::EnrolError;
pub use settings::Settings;
