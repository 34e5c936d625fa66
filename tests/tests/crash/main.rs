//! The server's process dies, and is started again on the same data and address.

#![expect(clippy::future_not_send, reason = "a test stays on its thread")]

mod badge;
mod deadline;
mod deaths;
mod direct;
mod email;
mod invitation;
mod mail;
mod one_way;
mod phone_entry;
mod profile;
mod push_token;
mod receipt;
mod registration;
mod stage;
mod text_part;
mod texts;
mod unreadable;
mod validation;
mod wish;
