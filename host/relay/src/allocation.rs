//! One allocation: a client's addresses on the relay, and whom it exchanges data with there.

use tokio::time::Instant;

use crate::{
    bandwidth::Meter,
    clients::Caller,
    family::{Family, PerFamily},
    peers::Peers,
    quotas::{Participant, Place},
    relayed::Relayed,
    tickets::Issued,
};

pub(crate) struct Allocation {
    pub(crate) caller: Caller,
    pub(crate) participant: Participant,
    pub(crate) peers: Peers,
    pub(crate) meter: Meter,
    pub(crate) relayed: PerFamily<Relayed>,
    /// When its client last said anything, as far as all shards know.
    pub(crate) heard: Instant,
    /// With it the client goes on from another address, if it asked for that.
    pub(crate) ticket: Option<Issued>,
    /// The request that brought it where it is, and how it was answered: for when it comes again, its answer having
    /// been lost.
    pub(crate) made_by: [u8; 12],
    pub(crate) answer: Box<[u8]>,
    pub(crate) place: Place,
}

impl Allocation {
    /// Lets go what has expired; whether something is left, and no other has its place.
    pub(crate) fn lives_at(&mut self, now: Instant) -> bool {
        for family in Family::BOTH {
            let relayed = self.relayed.slot_mut(family);
            if relayed.as_ref().is_some_and(|relayed| relayed.until <= now) {
                *relayed = None;
            }
        }
        self.lives() && !self.place.is_given_up()
    }

    /// Whether it has an address.
    pub(crate) fn lives(&self) -> bool {
        self.relayed.iter().next().is_some()
    }
}

impl Drop for Allocation {
    fn drop(&mut self) {
        self.caller.holds(false);
    }
}
