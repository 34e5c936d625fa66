//! The server's process dies, and is started again on the same data and address.

#![expect(clippy::future_not_send, reason = "a test stays on its thread")]

mod badge;
mod deaths;
mod direct;
mod email;
mod invitation;
mod mail;
mod phone_entry;
mod profile;
mod receipt;
mod registration;
mod stage;
mod texts;
