//! Allocations that follow their client to another address (RFC 8016).
//!
//! The client shows its ticket in a Refresh from where it is now. It has answered a challenge there, since nonces are
//! bound to addresses: so the way to it is known to be open, both ways, before anything moves. From then on the
//! allocation is that address's alone, with its relayed addresses, permissions and channels, and the former one is a
//! stranger's. (RFC 8016 has a server serve both until data comes from the new one: it may not know that much.)
//!
//! The system may have put the new address to another shard than the former one. Then the request waits: the shard
//! that has the allocation hands it over, sockets and all, and the request is handled as if the allocation had always
//! been here. Nobody is sent data twice, or by two shards at once. What peers send meanwhile waits in the sockets.

use std::{io, mem, sync::Arc};

use switchhook_core::stun::Message;

use crate::{
    allocation::Allocation,
    answer::Answer,
    awaited::Awaited,
    clients::Caller,
    control::Asked,
    family::Family,
    inbox::{Inbox, Order},
    outgoing::Via,
    quotas::Participant,
    refusal::Refusal,
    relaying::Relaying,
    request::lifetime,
    tickets::{Holding, Issued, Ticket, Whereabouts},
};

/// A request that waits for an allocation which is on another shard.
pub(crate) struct Errand {
    pub(crate) ticket: Ticket,
    /// The shard that asks.
    pub(crate) from: usize,
    pub(crate) caller: Caller,
    pub(crate) request: Vec<u8>,
}

impl Relaying {
    /// Refreshes an allocation for a client that shows its ticket, and lets it go there. Nothing is answered while the
    /// allocation is on its way.
    pub(crate) fn follow(&mut self, asked: &Asked<'_>, shown: &[u8]) -> Result<Option<Answer>, Refusal> {
        let Asked { caller, request, visitor, now, .. } = *asked;
        if !self.host.mobility {
            return Err(Refusal::MobilityForbidden);
        }
        let ticket = Ticket::read(shown).ok_or(Refusal::BadRequest)?;
        if let Some(held) = self.held_by.get(&caller.client()).and_then(|key| self.allocations.get(*key)) {
            // Who stands where it stood has nothing to show; but its answer may have been lost.
            let repeated = held.repeated(request, &visitor.participant);
            return repeated.map(Some).ok_or(Refusal::BadRequest);
        }
        let holding = self.host.tickets.find(&ticket).ok_or(Refusal::AllocationMismatch)?;
        if holding.participant != visitor.participant {
            return Err(Refusal::WrongCredentials);
        }
        let key = match holding.at {
            Whereabouts::On(shard, key) if shard == self.shard => key,
            Whereabouts::On(shard, _) | Whereabouts::Towards(shard) => {
                return self.fetch(shard, (ticket, caller, asked.bytes)).map(|()| None);
            }
        };
        let refreshed = self.refresh(key, request, lifetime(request, now, visitor.expires_at))?;
        Ok(Some(self.let_go(key, asked, refreshed)))
    }

    /// The allocation is its client's at another address, if it has not been given up there at once.
    fn let_go(&mut self, key: usize, asked: &Asked<'_>, refreshed: Answer) -> Answer {
        let Answer::Refreshed { seconds, .. } = refreshed else { return refreshed };
        let ticket = self.issue_ticket(key, asked);
        let Some(allocation) = self.allocations.get_mut(key) else { return refreshed };
        let former = mem::replace(&mut allocation.caller, asked.caller.clone());
        allocation.heard = self.now;
        allocation.place.hear(self.host.age(self.now));
        allocation.made_by = asked.request.transaction();
        allocation.answer = Box::default();
        let next = ticket.ticket();
        // The one that was shown counts no more.
        allocation.ticket = Some(ticket);
        self.held_by.remove(&former.client());
        self.held_by.insert(asked.caller.client(), key);
        former.holds(false);
        asked.caller.holds(true);
        self.host.metrics.moved.inc();
        Answer::Refreshed { seconds, ticket: Some(next) }
    }

    /// A ticket for an allocation of this shard.
    pub(crate) fn issue_ticket(&self, key: usize, asked: &Asked<'_>) -> Issued {
        let participant = asked.visitor.participant.clone();
        self.host.tickets.issue(Holding { participant, at: Whereabouts::On(self.shard, key) })
    }

    /// Asks the shard that has an allocation for it.
    fn fetch(
        &self,
        shard: usize,
        (ticket, caller, request): (Ticket, &Caller, &[u8]),
    ) -> Result<(), Refusal> {
        let inbox = self.inboxes.get(shard).ok_or(Refusal::AllocationMismatch)?;
        let (caller, request) = (caller.clone(), request.to_vec());
        let errand = Box::new(Errand { ticket, from: self.shard, caller, request });
        let room = inbox.room().ok_or(Refusal::InsufficientCapacity)?;
        room.give(Order::Fetch(errand));
        Ok(())
    }

    /// Hands an allocation over to the shard that asks for it. Where it has ended meanwhile, or gone elsewhere, the
    /// request goes back alone, and is told so there.
    pub(crate) fn hand_over(&mut self, errand: Box<Errand>) {
        let inboxes = Arc::clone(&self.inboxes);
        // Without room the request is lost, like a datagram, and the allocation stays.
        let Some(room) = inboxes.get(errand.from).and_then(Inbox::room) else { return };
        let allocation = self.take_out(&errand);
        room.give(Order::HandedOver(errand, allocation));
    }

    fn take_out(&mut self, errand: &Errand) -> Option<Box<Allocation>> {
        let Whereabouts::On(shard, key) = self.host.tickets.find(&errand.ticket)?.at else { return None };
        if shard != self.shard || errand.from == self.shard {
            return None;
        }
        // The next allocation may get this one's key, and must not get its datagrams.
        self.flush();
        let mut allocation = self.allocations.try_remove(key)?;
        self.held_by.remove(&allocation.caller.client());
        for relayed in allocation.relayed.values_mut() {
            relayed.socket.deregister(&self.registry).inspect_err(lost).ok()?;
        }
        allocation.ticket.as_ref()?.is_at(Whereabouts::Towards(errand.from));
        Some(Box::new(allocation))
    }

    /// Takes an allocation in, and handles the request that it was fetched for. If that is refused, the client finds
    /// the allocation here with its next one.
    pub(crate) fn take_in(&mut self, errand: &Errand, allocation: Option<Box<Allocation>>) {
        if let Some(allocation) = allocation {
            self.settle(*allocation);
        }
        self.take_message(&errand.caller, &errand.request);
    }

    /// An allocation that cannot be waited for here has ended.
    fn settle(&mut self, mut allocation: Allocation) {
        let entry = self.allocations.vacant_entry();
        let key = entry.key();
        for family in Family::BOTH {
            let Some(relayed) = allocation.relayed.slot_mut(family) else { continue };
            let token = Awaited::Socket(Via::Relayed(key, family)).token();
            if relayed.socket.register(&self.registry, token).inspect_err(lost).is_err() {
                return;
            }
        }
        if let Some(ticket) = &allocation.ticket {
            ticket.is_at(Whereabouts::On(self.shard, key));
        }
        self.held_by.insert(allocation.caller.client(), key);
        entry.insert(allocation);
    }
}

impl Allocation {
    /// The answer to the request that brought the allocation where it is, if this is that request again.
    pub(crate) fn repeated(&self, request: &Message<'_>, participant: &Participant) -> Option<Answer> {
        let same = self.made_by == request.transaction() && self.participant == *participant;
        same.then(|| Answer::Repeated(self.answer.clone()))
    }
}

fn lost(error: &io::Error) {
    tracing::warn!(%error, "an allocation is lost on its way from one shard to another");
}
