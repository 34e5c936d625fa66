//! Running processes.

use alloc::string::String;

use switchhook_protocol::{id::NodeId, time::Timestamp};

/// A running process of the server, as it tells the others of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its id: another one for each start.
    pub id: NodeId,
    /// What it is called, for people: where it listens, or what its settings say. Nobody is sent there.
    pub address: String,
    /// The region where it stands.
    pub region: String,
    /// How many devices are connected to it.
    pub sockets: u32,
    /// It takes nothing new: its clients are sent to others.
    pub draining: bool,
    /// When it started.
    pub started_at: Timestamp,
    /// When it last said that it lives, by its own clock.
    pub seen_at: Timestamp,
}
