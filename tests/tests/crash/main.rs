//! The server's process dies, and is started again on the same data and address.

mod invitation;
mod mail;
mod profile;
mod receipt;
mod registration;
mod stage;
