//! Mobility tickets (RFC 8016): what a client shows at another address, to go on with its allocation there.
//!
//! A ticket is a random word. It says nothing and proves nothing alone: the relay knows which allocation it stands for,
//! on which shard that is, and whose it is; the request that brings it is signed like any other, and by no other
//! participant. Each serves once. It is text of 32 characters because clients of others keep it in so much room
//! (coturn's), which anything sealed would not fit into.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use data_encoding::BASE64URL_NOPAD;

use crate::quotas::Participant;

/// Random bytes of a ticket.
const RANDOM: usize = 24;

/// Their text.
const LENGTH: usize = 32;

/// A ticket as it stands on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Ticket([u8; LENGTH]);

/// The tickets that are out.
#[derive(Debug, Default)]
pub(crate) struct Tickets(Mutex<HashMap<Ticket, Holding>>);

/// What a ticket stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holding {
    /// Who may show it.
    pub(crate) participant: Participant,
    pub(crate) at: Whereabouts,
}

/// Where an allocation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whereabouts {
    /// On this shard, under this key.
    On(usize, usize),
    /// On its way to this shard: in its inbox.
    Towards(usize),
}

/// An allocation's ticket, until this is dropped.
pub(crate) struct Issued {
    tickets: Arc<Tickets>,
    ticket: Ticket,
}

impl Ticket {
    /// Reads what a client shows; nothing where it was never a ticket.
    pub(crate) fn read(shown: &[u8]) -> Option<Self> {
        shown.try_into().ok().map(Self)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket(…)")
    }
}

impl Tickets {
    /// Makes a ticket for an allocation.
    pub(crate) fn issue(self: &Arc<Self>, holding: Holding) -> Issued {
        let mut text = [0; LENGTH];
        BASE64URL_NOPAD.encode_mut(&rand::random::<[u8; RANDOM]>(), &mut text);
        let ticket = Ticket(text);
        self.lock().insert(ticket, holding);
        Issued { tickets: Arc::clone(self), ticket }
    }

    /// What a ticket stands for, if it is out.
    pub(crate) fn find(&self, ticket: &Ticket) -> Option<Holding> {
        self.lock().get(ticket).cloned()
    }

    /// Entries are put in and out whole: a panic elsewhere leaves them right.
    fn lock(&self) -> MutexGuard<'_, HashMap<Ticket, Holding>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Issued {
    pub(crate) const fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// The allocation is there from now on.
    pub(crate) fn is_at(&self, at: Whereabouts) {
        if let Some(holding) = self.tickets.lock().get_mut(&self.ticket) {
            holding.at = at;
        }
    }
}

impl Drop for Issued {
    fn drop(&mut self) {
        self.tickets.lock().remove(&self.ticket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holding() -> Holding {
        let (tenant, session) = ("acme".parse().unwrap(), "s1".parse().unwrap());
        let participant = Participant { tenant, session, device: "d1".parse().unwrap() };
        Holding { participant, at: Whereabouts::On(0, 7) }
    }

    #[test]
    fn a_ticket_counts_as_long_as_it_is_held_and_follows_its_allocation() {
        let tickets = Arc::new(Tickets::default());
        let issued = tickets.issue(holding());
        let shown = Ticket::read(issued.ticket().as_bytes()).unwrap();
        assert_eq!(tickets.find(&shown), Some(holding()));
        issued.is_at(Whereabouts::Towards(1));
        assert_eq!(tickets.find(&shown).map(|it| it.at), Some(Whereabouts::Towards(1)));
        drop(issued);
        assert_eq!(tickets.find(&shown), None);
        assert!(tickets.lock().is_empty());
    }

    #[test]
    fn no_two_tickets_are_alike_and_all_are_words_of_32_letters() {
        let tickets = Arc::new(Tickets::default());
        let [one, other] = [0, 1].map(|_| tickets.issue(holding()));
        assert_ne!(one.ticket(), other.ticket());
        assert!(one.ticket().as_bytes().iter().all(u8::is_ascii_graphic));
        assert!(BASE64URL_NOPAD.decode(one.ticket().as_bytes()).is_ok_and(|bytes| bytes.len() == RANDOM));
        assert_eq!(Ticket::read(b"short"), None);
        assert_eq!(format!("{:?}", one.ticket()), "Ticket(…)");
    }
}
