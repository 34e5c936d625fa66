//! What crosses the wire between Switchhook and its clients.
//!
//! One WebSocket per device, subprotocol [`SUBPROTOCOL`], JSON text frames. The server speaks first
//! (`challenge`); the client enrols a device key once, and says `hello` on each connection. Then it
//! sends requests, each with an id that its answer repeats, and receives events from its mailbox,
//! each with a sequence number that it acknowledges. `signal` and `presence` are live only and pass the mailbox by.
//!
//! This crate is `no_std`: types, their JSON form and the proofs that both sides compute. It does
//! no I/O and knows no clock.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod block;
pub mod call;
pub mod carrier;
pub mod cdx;
pub mod client;
pub mod close;
pub mod connection_data;
pub mod device_key;
pub mod endpoint;
pub mod error;
pub mod event;
pub mod exchange;
pub mod id;
pub mod invitation;
pub mod number;
pub mod peer;
pub mod push_token;
pub mod registration;
pub mod relay;
pub mod server;
pub mod session;
mod text;
pub mod time;

/// Name of the WebSocket subprotocol, with its version.
pub const SUBPROTOCOL: &str = "switchhook.v1.json";

/// Largest text frame that the server reads, in bytes.
///
/// An invite with its connection data stays below 8 KiB; the rest is room for display data.
pub const MAX_FRAME: usize = 32 * 1024;
