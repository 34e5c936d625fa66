//! The Allocate request (RFC 8656 §7.2, RFC 6062 §5.1).

use std::time::Duration;

use switchhook_core::stun::Message;

use crate::{
    allocation::Allocation,
    answer::Answer,
    clients::Caller,
    control::Asked,
    family::{Family, PerFamily},
    gate::Visitor,
    host::Host,
    peers::Peers,
    refusal::Refusal,
    relayed::{BoundSocket, Opening},
    relaying::Relaying,
    request::{Wanted, WantedPort, lifetime},
    reservations::ReservationToken,
    tickets::Issued,
    transport::Transport,
    wire::message_type,
};

/// Sockets for an allocation, and what was kept for a second one.
struct Bound {
    sockets: Vec<BoundSocket>,
    reserved: Option<ReservationToken>,
    /// There is no second address though the client wanted one.
    only_one: bool,
}

impl Relaying {
    pub(crate) fn allocate(&mut self, asked: &Asked<'_>) -> Result<Answer, Refusal> {
        let Asked { caller, request, visitor, now, .. } = *asked;
        let held = self.held_by.get(&caller.client()).and_then(|key| self.allocations.get(*key));
        if let Some(held) = held {
            return held.repeated(request, &visitor.participant).ok_or(Refusal::AllocationMismatch);
        }
        let wanted = Wanted::read(request)?;
        self.check_offered(&wanted, caller)?;
        let family = self.family(&wanted)?;
        let place = self.host.quotas.take((&visitor.participant, visitor.share), self.host.age(self.now))?;
        let bound = self.bind(&wanted, family, visitor)?;

        let seconds = lifetime(request, now, visitor.expires_at);
        let until = self.now + Duration::from_secs(seconds.into());
        let key = self.allocations.vacant_key();
        let ticket = wanted.mobile.then(|| self.issue_ticket(key, asked));
        let next = ticket.as_ref().map(Issued::ticket);
        let mut relayed = PerFamily::NONE;
        let mut addrs = Vec::with_capacity(bound.sockets.len());
        let Bound { sockets, reserved, only_one } = bound;
        let meter = self.host.meters.of((&visitor.participant, visitor.share), self.host.age(self.now));
        let opening = Opening {
            host: &self.host,
            doors: &self.doors,
            registry: &self.registry,
            key,
            until,
            participant: &visitor.participant,
            meter: &meter,
            place: &place,
        };
        for socket in sockets {
            let (family, made) = opening.open(socket).map_err(|error| {
                tracing::debug!(%error, "no socket for an allocation");
                Refusal::InsufficientCapacity
            })?;
            addrs.push(made.public);
            *relayed.slot_mut(family) = Some(made);
        }
        self.allocations.insert(Allocation {
            caller: caller.clone(),
            peers: Peers::default(),
            meter,
            participant: visitor.participant.clone(),
            relayed,
            heard: self.now,
            ticket,
            made_by: request.transaction(),
            answer: Box::default(),
            place,
        });
        self.held_by.insert(caller.client(), key);
        caller.holds(true);
        self.host.metrics.allocated.inc();
        Ok(Answer::Allocated {
            relayed: addrs,
            seconds,
            mapped: caller.addr,
            reserved,
            only_one,
            ticket: next,
        })
    }

    /// Keeps the answer that made an allocation or moved it, for when it is asked for again.
    pub(crate) fn keep_answer(&mut self, caller: &Caller, request: &Message<'_>, answer: &[u8]) {
        if !matches!(request.message_type(), message_type::ALLOCATE | message_type::REFRESH) {
            return;
        }
        let Some(key) = self.held_by.get(&caller.client()) else { return };
        let made = self.allocations.get_mut(*key).filter(|held| held.made_by == request.transaction());
        if let Some(made) = made.filter(|made| made.answer.is_empty()) {
            made.answer = answer.into();
        }
    }

    /// Whether the relay has such allocations, for such a client.
    fn check_offered(&self, wanted: &Wanted, caller: &Caller) -> Result<(), Refusal> {
        let is_tcp = wanted.transport == Transport::Tcp;
        if is_tcp && !self.host.connections.offered {
            return Err(Refusal::UnsupportedTransport);
        }
        if is_tcp && caller.stream.is_none() {
            return Err(Refusal::BadRequest);
        }
        // Connections stay where they are, and so does what they were made through.
        if wanted.mobile && (is_tcp || !self.host.mobility) {
            return Err(Refusal::MobilityForbidden);
        }
        Ok(())
    }

    /// The family of the first address: unasked IPv4 (RFC 8656 §7.2).
    fn family(&self, wanted: &Wanted) -> Result<Family, Refusal> {
        let family = wanted.family.unwrap_or(Family::V4);
        self.host.filter.inside_ip(family).map(|_| family).ok_or(Refusal::AddressFamily)
    }

    fn bind(&self, wanted: &Wanted, family: Family, visitor: &Visitor) -> Result<Bound, Refusal> {
        let host = &self.host;
        let mut bound = Bound { sockets: Vec::with_capacity(2), reserved: None, only_one: false };
        match wanted.port {
            WantedPort::Any | WantedPort::Even => bound.sockets.extend(host.bind_one(wanted, family)),
            WantedPort::Reserved(token) => {
                let kept = host.reservations.take(token, &visitor.participant, self.now);
                bound.sockets.extend(kept.map(BoundSocket::Udp));
            }
            WantedPort::Pair => {
                let [first, second] = host.bind_pair(family).ok_or(Refusal::InsufficientCapacity)?;
                bound.reserved = host.reservations.keep(second, &visitor.participant, self.now);
                bound.reserved.ok_or(Refusal::InsufficientCapacity)?;
                bound.sockets.push(BoundSocket::Udp(first));
            }
        }
        if bound.sockets.is_empty() {
            return Err(Refusal::InsufficientCapacity);
        }
        if wanted.both && family == Family::V4 {
            let second = host.bind_one(wanted, Family::V6);
            bound.only_one = second.is_none();
            bound.sockets.extend(second);
        }
        Ok(bound)
    }
}

impl Host {
    fn bind_one(&self, wanted: &Wanted, family: Family) -> Option<BoundSocket> {
        match wanted.transport {
            Transport::Udp => self.bind(family, wanted.port == WantedPort::Even).map(BoundSocket::Udp),
            Transport::Tcp => self.listen(family).map(BoundSocket::Tcp),
        }
    }
}
