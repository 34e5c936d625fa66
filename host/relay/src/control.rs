//! Requests about allocations, and their answers (RFC 8656 §7 to §12, RFC 6062 §5).
//!
//! A request is judged in the order of the RFCs: credentials (401, 400, 438), attributes (420), whose
//! allocation it is about (437, 441), then what it asks for.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use switchhook_core::stun::Message;
use switchhook_protocol::time::Timestamp;

use crate::{
    answer::Answer,
    clients::Caller,
    family::Family,
    gate::Visitor,
    refusal::Refusal,
    relaying::Relaying,
    request::{channel, covered, gives_up, lifetime, peers},
    wire::{attribute, message_type, must_refuse},
};

/// A request whose credentials count.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) request: &'a Message<'a>,
    /// The whole request.
    pub(crate) bytes: &'a [u8],
    pub(crate) visitor: &'a Arc<Visitor>,
    pub(crate) now: Timestamp,
}

impl Relaying {
    pub(crate) fn answer_request(&mut self, caller: &Caller, request: &Message<'_>, bytes: &[u8]) {
        let host = Arc::clone(&self.host);
        let now = (host.clock)();
        let mut scratch = std::mem::take(&mut self.scratch);
        let answered = match host.authenticate(request, caller.addr, now) {
            Ok(visitor) => {
                let visitor = Arc::new(visitor);
                let performed = self.perform(&Asked { caller, request, bytes, visitor: &visitor, now });
                match &performed {
                    Ok(Some(answer)) => answer.write(&mut scratch, request, &visitor),
                    Ok(None) => {}
                    Err(refusal) => {
                        host.refuse(&mut scratch, request, caller.addr, (*refusal, Some(&visitor)));
                    }
                }
                !matches!(performed, Ok(None))
            }
            Err(refusal) => host.turn_away(&mut scratch, request, (caller.addr, self.now), refusal),
        };
        if answered {
            self.keep_answer(caller, request, &scratch);
            self.answer(caller, &scratch);
        }
        self.scratch = scratch;
    }

    /// Nothing where the request waits: for an allocation, to be handled again when that is here, or for a peer, to be
    /// answered when that has.
    fn perform(&mut self, asked: &Asked<'_>) -> Result<Option<Answer>, Refusal> {
        let Asked { caller, request, visitor, now, .. } = *asked;
        if request.covered_attributes().any(|(kind, _)| must_refuse(kind)) {
            return Err(Refusal::UnknownAttribute);
        }
        match request.message_type() {
            message_type::ALLOCATE => return self.allocate(asked).map(Some),
            // Of streams that hold nothing it has been handled before; over datagrams, and on a control connection, there
            // is nothing to be joined.
            message_type::CONNECTION_BIND => return Err(Refusal::BadRequest),
            _ => {}
        }
        let is_refresh = request.message_type() == message_type::REFRESH;
        if is_refresh && let Some(shown) = covered(request, attribute::MOBILITY_TICKET) {
            return self.follow(asked, shown);
        }
        let key = self.held(caller, visitor)?;
        let answer = match request.message_type() {
            message_type::REFRESH => self.refresh(key, request, lifetime(request, now, visitor.expires_at)),
            message_type::CREATE_PERMISSION => self.permit(key, request),
            message_type::CONNECT => return self.connect(key, asked).map(|()| None),
            _ => self.bind_channel(key, request),
        };
        answer.map(Some)
    }

    /// The allocation that a request is about.
    fn held(&self, caller: &Caller, visitor: &Visitor) -> Result<usize, Refusal> {
        let key = self.held_by.get(&caller.client()).ok_or(Refusal::AllocationMismatch)?;
        let allocation = self.allocations.get(*key).ok_or(Refusal::AllocationMismatch)?;
        if allocation.participant != visitor.participant {
            return Err(Refusal::WrongCredentials);
        }
        Ok(*key)
    }

    /// RFC 8656 §8.2. Of two addresses, a request that names a family is about one.
    pub(crate) fn refresh(
        &mut self,
        key: usize,
        request: &Message<'_>,
        seconds: u32,
    ) -> Result<Answer, Refusal> {
        let named = covered(request, attribute::REQUESTED_ADDRESS_FAMILY).map(Family::read);
        let allocation = self.allocations.get_mut(key).ok_or(Refusal::AllocationMismatch)?;
        let about = |family: &Family| named.is_none_or(|named| named == Some(*family));
        let families: Vec<Family> =
            allocation.relayed.iter().map(|(family, _)| family).filter(about).collect();
        if families.is_empty() {
            return Err(Refusal::PeerFamily);
        }
        let seconds = if gives_up(request) { 0 } else { seconds };
        let until = self.now + Duration::from_secs(seconds.into());
        for family in families {
            let relayed = allocation.relayed.slot_mut(family);
            if seconds == 0 {
                *relayed = None;
            } else if let Some(relayed) = relayed {
                relayed.until = until;
            }
        }
        if !allocation.lives() {
            self.end(key);
        }
        Ok(Answer::Refreshed { seconds, ticket: None })
    }

    /// RFC 8656 §10.2.
    fn permit(&mut self, key: usize, request: &Message<'_>) -> Result<Answer, Refusal> {
        let peers = peers(request).ok_or(Refusal::BadRequest)?;
        self.check_peers(key, &peers)?;
        let allocation = self.allocations.get_mut(key).ok_or(Refusal::AllocationMismatch)?;
        allocation.peers.permit(&peers, self.now)?;
        Ok(Answer::Done)
    }

    /// RFC 8656 §12.2. By connections nothing goes in channels.
    fn bind_channel(&mut self, key: usize, request: &Message<'_>) -> Result<Answer, Refusal> {
        let number = channel(request).ok_or(Refusal::BadRequest)?;
        let peers = peers(request).ok_or(Refusal::BadRequest)?;
        let [peer] = *peers.as_slice() else { return Err(Refusal::BadRequest) };
        self.check_peers(key, &[peer])?;
        if self.listening(key, Family::of(peer.ip())).is_some() {
            return Err(Refusal::BadRequest);
        }
        let allocation = self.allocations.get_mut(key).ok_or(Refusal::AllocationMismatch)?;
        allocation.peers.bind(number, peer, self.now)?;
        Ok(Answer::Done)
    }

    /// One refused peer refuses the request.
    pub(crate) fn check_peers(&self, key: usize, peers: &[SocketAddr]) -> Result<(), Refusal> {
        let allocation = self.allocations.get(key).ok_or(Refusal::AllocationMismatch)?;
        for peer in peers {
            if !self.host.filter.may_permit(peer.ip()) {
                return Err(Refusal::Forbidden);
            }
            if allocation.relayed.get(Family::of(peer.ip())).is_none() {
                return Err(Refusal::PeerFamily);
            }
        }
        Ok(())
    }
}
