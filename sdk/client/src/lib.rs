//! Switchhook for apps.

pub mod call;
mod client;
mod connection;
mod enrolment;
pub mod fake;
mod gather;
pub mod identity;
pub mod limits;
pub mod network;
mod path;
pub mod registration;
pub mod relay;
pub mod ringer;
mod secure;
mod sessions;
mod settings;
mod stun;

pub use client::{CallError, Client, ClientEvent, ConnectError, Events, Finished};
pub use connection::dial::DialError;
pub use enrolment::EnrolError;
pub use gather::gather;
pub use settings::Settings;
