//! An internet in one process: network namespaces, joined by virtual cables, with a NAT before each site.
//!
//! ```text
//!   host ── LAN ── gateway ──┐                      ┌── gateway ── LAN ── host
//!   192.168.1.2    203.0.113.1                      203.0.113.2    192.168.1.2
//!                            ├────── internet ──────┤
//!   host ── LAN ── gateway ── carrier's gateway     └── server 192.0.2.1, 192.0.2.2
//! ```
//!
//! A [`Lab`] is the internet and a server with two addresses, as RFC 5780 wants it. [`Lab::site`] adds
//! a LAN with one host behind a [`Nat`], or behind several in a row. Every LAN has the same private
//! addresses, as at people's homes: who takes a stranger's private address for its peer's is found out.
//!
//! [`Lab::dual_site`] has IPv6 beside that and [`Lab::ipv6_site`] nothing else, without a NAT, behind gateways that let in
//! answers only. [`Lab::set_distance`] keeps sites apart, as far as is wanted.
//!
//! A [`line()`] is two machines and a cable, for benches.
//!
//! What the kernel can play, it plays (masquerading by nftables). For the rest a gateway runs a
//! [`translator`], a NAT in user space whose behaviour is chosen word by word from RFC 4787 and whose
//! clock a test can put forward.
//!
//! Namespaces here have no names: each lives in files and sockets of this process, and goes with it,
//! however it ends. Sockets belong to the namespace in which they were opened, so a test opens them
//! with [`Host::bind`] and then uses them from wherever it runs.
//!
//! Needed: Linux, root, `ip` (iproute2) and `nft` (nftables). [`may_run`] says whether that is so;
//! tests that find it is not report themselves as skipped.

mod distance;
mod gateway;
mod host;
mod ipv6;
mod lab;
mod line;
mod matrix;
mod namespace;
mod nat;
mod puncher;
mod site;
mod table;
pub mod translator;
mod worker;

pub use crate::{
    gateway::Gateway,
    host::{Companion, Host},
    lab::{Lab, may_run},
    line::line,
    matrix::{Matrix, Through},
    nat::{Filtering, Mapping, Nat},
    puncher::{Meeting, meet, reported},
    site::Site,
    table::MeetingTable,
};
