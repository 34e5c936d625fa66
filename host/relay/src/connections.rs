//! Allocations of TCP (RFC 6062): the relay connects to peers, or they to it, and each of these connections is joined
//! with one that the client opens for it.
//!
//! ```text
//! client ──── control connection ───▶ shard       Allocate, CreatePermission, Connect; ConnectionAttempt
//!
//! client ──── data connection ─────┐
//!                                  ├─ joined       ConnectionBind, then bytes as they are, both ways
//! peer ◀───── connection ─────────▶┘
//! ```
//!
//! - [`listening`] is a relayed address: peers come in there, and connections to peers leave from the same port.
//! - [`links`] is what connections have from their allocation: whose they are, how much may pass, when they end. There
//!   is one connection with each peer, and so many in all.
//! - [`connect`] goes to a peer, in a task; [`attempt`] lets one in, on the shard, where permissions are known.
//! - [`pending`] is where a connection waits for its client. Nothing is read from it meanwhile: what the peer says
//!   stands in the kernel's buffer, and when that is full the peer waits, so that nothing is lost and nothing grows.
//! - [`bind`] finds the one that the client's next stream asks for; [`joined`] carries the bytes, as fast as the slower
//!   side takes them and as the bandwidth has it ([`paced`]).
//!
//! Whatever has a connection holds its [`Link`]. The end of the relayed address (given up, expired, its session over,
//! its control connection closed) ends them all.
//!
//! [`Link`]: links::Link

mod attempt;
mod bind;
mod connect;
mod joined;
mod links;
mod listening;
mod paced;
mod pending;
mod room;

use std::{hash::RandomState, sync::Arc, time::Duration};

use switchhook_core::rate::Buckets;

pub(crate) use self::{
    bind::is_connection_bind,
    joined::join,
    listening::{Listening, listen},
    pending::{ConnectionId, PeerConnection},
};
use self::{links::Links, pending::Pending, room::Room};
use crate::{bandwidth::Meter, limits, metrics::Metrics, quotas::Participant, silence::Seat};

/// What the allocations of TCP share.
pub(crate) struct Connections {
    /// Whether there are any.
    pub(crate) offered: bool,
    pub(crate) pending: Arc<Pending>,
    /// For connections.
    room: Arc<Room>,
    /// For those that peers have not answered yet.
    dialling: Arc<Room>,
    /// How often a participant connects.
    connects: Buckets<RandomState>,
    metrics: Metrics,
}

impl Connections {
    pub(crate) fn new(offered: bool, metrics: Metrics) -> Self {
        Self {
            offered,
            pending: Arc::default(),
            room: Arc::new(Room::new(limits::CONNECTIONS)),
            dialling: Arc::new(Room::new(limits::DIALLING)),
            connects: Buckets::new(limits::CONNECTS, limits::CONNECTING, RandomState::new()),
            metrics,
        }
    }

    /// The connections of a relayed address that is new.
    pub(crate) fn links(&self, participant: Participant, meter: Meter, seat: Arc<Seat>) -> Links {
        Links::new((participant, meter, seat), Arc::clone(&self.room), self.metrics.clone())
    }

    /// Whether a participant may connect once more, at `now` since the relay's start.
    fn may_connect(&self, participant: &Participant, now: Duration) -> bool {
        self.connects.take(participant, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rel_3_a_participant_connects_so_often_whatever_it_allocates_and_others_are_not_held_up() {
        let connections = Connections::new(true, Metrics::default());
        let [one, other] = ["d1", "d2"].map(|device| {
            let (tenant, session) = ("acme".parse().unwrap(), "s1".parse().unwrap());
            Participant { tenant, session, device: device.parse().unwrap() }
        });
        let connects = |participant, now| {
            (0..100).filter(|_| connections.may_connect(participant, Duration::from_secs(now))).count()
        };
        assert_eq!(connects(&one, 0), 32);
        assert_eq!(connects(&other, 0), 32);
        assert_eq!(connects(&one, 5), 5);
    }
}
