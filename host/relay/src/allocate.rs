//! The Allocate request (RFC 8656 §7.2).

use std::{io, net::UdpSocket, time::Duration};

use mio::Registry;
use switchhook_core::stun::Message;
use tokio::time::Instant;

use crate::{
    allocation::{Allocation, Relayed},
    answer::Answer,
    awaited::Awaited,
    clients::Caller,
    control::Asked,
    datagrams::Datagrams,
    family::{Family, PerFamily},
    gate::Visitor,
    host::Host,
    outgoing::Via,
    peers::Peers,
    refusal::Refusal,
    relaying::Relaying,
    request::{Wanted, WantedPort, lifetime},
    reservations::ReservationToken,
    tickets::Issued,
    wire::message_type,
};

/// Sockets for an allocation, and what was kept for a second one.
struct Bound {
    sockets: Vec<UdpSocket>,
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
        if wanted.mobile && !self.host.mobility {
            return Err(Refusal::MobilityForbidden);
        }
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
        let opening = Opening { host: &self.host, doors: &self.doors, registry: &self.registry, key, until };
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
            meter: self.host.meters.of((&visitor.participant, visitor.share), self.host.age(self.now)),
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

    /// The family of the first address: unasked IPv4, where there is one. RFC 8656 §7.2 has 440 for the rest, which would
    /// keep out of an IPv6-only relay every client that knows nothing of families, ours included.
    fn family(&self, wanted: &Wanted) -> Result<Family, Refusal> {
        let has = |family: &Family| self.host.filter.inside_ip(*family).is_some();
        let asked = wanted.family.map_or(Family::BOTH, |family| [family; 2]);
        asked.into_iter().find(has).ok_or(Refusal::AddressFamily)
    }

    fn bind(&self, wanted: &Wanted, family: Family, visitor: &Visitor) -> Result<Bound, Refusal> {
        let host = &self.host;
        let mut bound = Bound { sockets: Vec::with_capacity(2), reserved: None, only_one: false };
        match wanted.port {
            WantedPort::Any => bound.sockets.extend(host.bind(family, false)),
            WantedPort::Even => bound.sockets.extend(host.bind(family, true)),
            WantedPort::Reserved(token) => {
                bound.sockets.extend(host.reservations.take(token, &visitor.participant, self.now));
            }
            WantedPort::Pair => {
                let [first, second] = host.bind_pair(family).ok_or(Refusal::InsufficientCapacity)?;
                bound.reserved = host.reservations.keep(second, &visitor.participant, self.now);
                bound.reserved.ok_or(Refusal::InsufficientCapacity)?;
                bound.sockets.push(first);
            }
        }
        if bound.sockets.is_empty() {
            return Err(Refusal::InsufficientCapacity);
        }
        if wanted.both && family == Family::V4 {
            let second = host.bind(Family::V6, wanted.port == WantedPort::Even);
            bound.only_one = second.is_none();
            bound.sockets.extend(second);
        }
        Ok(bound)
    }
}

/// Makes sockets addresses of an allocation, and waits for what comes to them.
struct Opening<'a> {
    host: &'a Host,
    doors: &'a PerFamily<Datagrams>,
    registry: &'a Registry,
    key: usize,
    until: Instant,
}

impl Opening<'_> {
    fn open(&self, socket: UdpSocket) -> io::Result<(Family, Relayed)> {
        let addr = socket.local_addr()?;
        let family = Family::of(addr.ip());
        let absent = || io::Error::from(io::ErrorKind::AddrNotAvailable);
        let mut socket = self.doors.get(family).ok_or_else(absent)?.beside(socket)?;
        socket.register(self.registry, Awaited::Socket(Via::Relayed(self.key, family)).token())?;
        let given = self.host.filter.ports(family).ok_or_else(absent)?.give_out(addr.port());
        Ok((family, Relayed { socket, public: self.host.public(addr), until: self.until, _given: given }))
    }
}
