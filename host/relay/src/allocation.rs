//! One allocation: a client's addresses on the relay, and whom it exchanges datagrams with there.

use std::net::SocketAddr;

use tokio::time::Instant;

use crate::{
    bandwidth::Meter,
    clients::Caller,
    datagrams::Datagrams,
    family::{Family, PerFamily},
    peers::Peers,
    ports::GivenOut,
    quotas::{Participant, Place},
};

pub(crate) struct Allocation {
    pub(crate) caller: Caller,
    pub(crate) participant: Participant,
    pub(crate) peers: Peers,
    pub(crate) meter: Meter,
    pub(crate) relayed: PerFamily<Relayed>,
    /// The request that made it, and how it was answered: for when it comes again, its answer having been lost.
    pub(crate) made_by: [u8; 12],
    pub(crate) answer: Box<[u8]>,
    pub(crate) _place: Place,
}

/// A relayed transport address.
pub(crate) struct Relayed {
    /// Before the socket: who has the port next says so after this is gone.
    pub(crate) _given: GivenOut,
    pub(crate) socket: Datagrams,
    /// Under which address peers reach it.
    pub(crate) public: SocketAddr,
    pub(crate) until: Instant,
}

impl Allocation {
    /// Lets go what has expired; whether something is left.
    pub(crate) fn lives_at(&mut self, now: Instant) -> bool {
        for family in Family::BOTH {
            let relayed = self.relayed.slot_mut(family);
            if relayed.as_ref().is_some_and(|relayed| relayed.until <= now) {
                *relayed = None;
            }
        }
        self.lives()
    }

    /// Whether it has an address.
    pub(crate) fn lives(&self) -> bool {
        self.relayed.iter().next().is_some()
    }
}

impl Drop for Allocation {
    fn drop(&mut self) {
        if let Some(stream) = &self.caller.stream {
            stream.set_holds(false);
        }
    }
}
