//! The decisions of Switchhook.
//!
//! Facts come in, an outcome comes out: who is rung, who is taken, what is sealed into a ticket,
//! what a datagram is answered with. Callers have loaded the facts and asked the plugins; they
//! commit and perform what is decided here. No I/O, no clock, no randomness of its own: time and
//! random generators are arguments.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod cdx;
pub mod connection_key;
pub mod exchange;
pub mod explain;
pub mod guessing;
pub mod http_signature;
pub mod invitation;
pub mod lesson;
pub mod limits;
pub mod mail;
pub mod may_ring;
pub mod mint;
pub mod network;
pub mod observation;
pub mod policy;
pub mod rate;
pub mod registration;
pub mod relay;
pub mod relay_choice;
pub mod relay_host;
pub mod relay_peers;
pub mod relay_token;
pub mod rollout;
pub mod row;
pub mod seal;
pub mod session;
pub mod sms;
pub mod stun;
pub mod subscriber;
pub mod tenant;
pub mod ticket;
pub mod transit;
pub mod turn;
pub mod watch;

#[cfg(test)]
pub(crate) mod testing;
