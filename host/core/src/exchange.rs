//! Exchange tickets: whom CDX hands a participant's words to (NAT-2).
//!
//! The invitation service makes them with a direct verdict, from what CDX has seen of both sides. All that CDX
//! needs stands in the ticket, sealed: it keeps nothing, and may be restarted between ticket and use. A ticket is
//! good for one place of one session, from one address, at one address of CDX, for two minutes.
//!
//! No row holds an address. Whoever is elsewhere on the network observes again and brings its last ticket: the
//! addresses of the others are in there, and count as long as their observations do.

use alloc::{string::String, vec::Vec};
use core::{net::SocketAddr, time::Duration};

use data_encoding::BASE64URL_NOPAD;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use switchhook_protocol::{
    cdx::OBSERVATION_LIFE,
    error::ErrorCode,
    event::Event,
    exchange::{Exchange, PeerElsewhere},
    id::{DeviceId, SessionId},
    time::{Timestamp, millis},
};

use crate::{
    invitation::{NEWS_LIFE, message},
    network::NetworkFacts,
    observation::Observation,
    row::Write,
    seal::{KeyRing, Purpose, SealError},
    ticket::{Alias, Member, Role, SessionTicket},
};

/// How long CDX takes a ticket.
pub const TICKET_LIFE: Duration = Duration::from_mins(2);

/// Most participants of one ticket: with IPv6 addresses and the longest ids it leaves half of the datagram to the
/// payload. A session of more has more tickets.
pub const MAX_PARTICIPANTS: usize = 4;

/// The right to have CDX tell the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExchangeTicket {
    /// In this session alone.
    pub session: SessionId,
    /// Of the session's membership.
    pub generation: u32,
    /// The holder's place among the participants.
    pub place: u8,
    /// Where everybody is: the inviter first.
    pub participants: Vec<Whereabouts>,
    /// The address of CDX that has seen them there, and that takes the ticket.
    pub cdx: SocketAddr,
    /// CDX does not take it after this.
    pub expires_at: Timestamp,
}

/// Where CDX has seen a participant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whereabouts {
    /// Which device.
    pub device: DeviceId,
    /// Its address, as CDX sees it.
    pub addr: SocketAddr,
    /// When it was seen there.
    pub at: Timestamp,
}

impl ExchangeTicket {
    /// Seals it for its holder.
    pub fn seal(&self, keys: &KeyRing, rng: &mut impl CryptoRng) -> String {
        keys.seal(Purpose::ExchangeTicket, self, rng)
    }

    /// Opens the bytes that its holder shows to CDX.
    pub fn open(keys: &KeyRing, sealed: &[u8]) -> Result<Self, SealError> {
        let plain = keys.open_bytes(Purpose::ExchangeTicket, sealed)?;
        postcard::from_bytes(&plain).or(Err(SealError::Format))
    }

    /// Opens the text that its holder shows to the host.
    pub fn open_text(keys: &KeyRing, sealed: &str) -> Result<Self, SealError> {
        keys.open(Purpose::ExchangeTicket, sealed)
    }

    /// The holder's own address.
    pub fn own(&self) -> Option<SocketAddr> {
        self.at(self.place).map(|own| own.addr)
    }

    fn at(&self, place: u8) -> Option<&Whereabouts> {
        self.participants.get(usize::from(place))
    }

    fn exchange(&self, keys: &KeyRing, rng: &mut impl CryptoRng) -> Option<Exchange> {
        let own = self.own()?;
        let ticket = self.seal(keys, rng);
        Some(Exchange { cdx: self.cdx, ticket, own, expires_in_ms: millis(TICKET_LIFE) })
    }
}

/// Tickets for the inviter and for the device that accepts; none if no address of CDX has seen both.
pub fn between(
    (session, generation): (&SessionId, u32),
    [inviter, invited]: [(&DeviceId, &NetworkFacts); 2],
    (keys, now): (&KeyRing, Timestamp),
    rng: &mut impl CryptoRng,
) -> Option<[Exchange; 2]> {
    let asked = [inviter, invited].into_iter().flat_map(|(_, network)| network.observations());
    let at =
        |(device, network): (_, &NetworkFacts), cdx| Some(Whereabouts::new(device, network.seen_by(cdx)?));
    let both = |cdx| Some((cdx, [at(inviter, cdx)?, at(invited, cdx)?]));
    let (cdx, participants) = asked.map(|seen| seen.cdx).find_map(both)?;
    let ticket = |place| ExchangeTicket {
        session: session.clone(),
        generation,
        place,
        participants: participants.to_vec(),
        cdx,
        expires_at: now.after(TICKET_LIFE),
    };
    Some([ticket(0).exchange(keys, rng)?, ticket(1).exchange(keys, rng)?])
}

/// What is decided from when a participant is elsewhere on the network.
#[derive(Debug, Clone, Copy)]
pub struct Moving<'a> {
    /// The tenant's keys.
    pub keys: &'a KeyRing,
    /// The keys of CDX.
    pub cdx: &'a KeyRing,
    /// The participant's session ticket, opened.
    pub ticket: &'a SessionTicket,
    /// Its last exchange ticket, opened, if it brings one.
    pub last: Option<&'a ExchangeTicket>,
    /// Who it is on the network.
    pub network: &'a NetworkFacts,
    /// When.
    pub now: Timestamp,
}

/// What a move leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The other side's message.
    pub writes: Vec<Write>,
    /// For the participant itself.
    pub exchange: Option<Exchange>,
}

/// Tells the other side where a participant is to be reached from here on (NAT-5).
///
/// Only where the verdict was direct: elsewhere the sides are not to know each other's addresses. Where it was the relay
/// until the invited device accepts, saying where it is is how it does so.
pub fn moved(facts: Moving<'_>, rng: &mut impl CryptoRng) -> Result<Moved, ErrorCode> {
    let Moving { keys, cdx, ticket, network, now, .. } = facts;
    let peer = ticket.peer()?;
    let renewed = facts.renewed()?;
    // A ticket for CDX is made after a direct verdict alone, so that one for these two devices shows it, also when the
    // session's own ticket is a later one.
    let may = ticket.judged.as_ref().is_some_and(|judged| judged.direct || judged.until_accepted);
    if renewed.is_none() && !may {
        return Err(ErrorCode::Forbidden);
    }
    let mut seal = |place| ExchangeTicket { place, ..renewed.clone()? }.exchange(cdx, rng);
    let place = place_of(ticket.role);
    let (own, others) = (seal(place), seal(1 - place));
    let alias = Alias { session: ticket.session.clone(), device: ticket.own.device.clone() };
    let event = Event::ConnectionData(PeerElsewhere {
        session: ticket.session.clone(),
        alias: alias.seal(keys, rng),
        candidates: network.candidates(),
        exchange: others,
    });
    let key = alloc::format!("connection-data/{}/{}", ticket.session, ticket.own.device);
    let writes = alloc::vec![message(&peer.device, &event, (Some(key), now.after(NEWS_LIFE)), rng)];
    Ok(Moved { writes, exchange: own })
}

impl Moving<'_> {
    /// The last ticket with this participant's new address; none if nothing is left to go by.
    fn renewed(&self) -> Result<Option<ExchangeTicket>, ErrorCode> {
        let Some(last) = self.last else { return Ok(None) };
        let place = place_of(self.ticket.role);
        let is = |at: &Whereabouts, member: &Member| at.device == member.device;
        let (Some(own), Some(other)) = (last.at(place), last.at(1 - place)) else {
            return Err(ErrorCode::BadTicket);
        };
        let these = is(own, &self.ticket.own) && is(other, self.ticket.peer()?);
        if !these || last.session != self.ticket.session || last.place != place {
            return Err(ErrorCode::BadTicket);
        }
        let fresh = other.at.until(self.now) <= OBSERVATION_LIFE;
        let Some(seen) = self.network.seen_by(last.cdx).filter(|_| fresh) else { return Ok(None) };
        let mut participants = alloc::vec![Whereabouts::new(&own.device, seen), other.clone()];
        participants.rotate_left(usize::from(place));
        Ok(Some(ExchangeTicket { participants, expires_at: self.now.after(TICKET_LIFE), ..last.clone() }))
    }
}

/// The inviter stands first.
const fn place_of(role: Role) -> u8 {
    match role {
        Role::Inviter => 0,
        Role::Invited { .. } => 1,
    }
}

impl Whereabouts {
    fn new(device: &DeviceId, seen: Observation) -> Self {
        Self { device: device.clone(), addr: seen.observed, at: seen.at }
    }
}

/// The bytes of a ticket, as they go to CDX.
pub fn bytes_of(ticket: &str) -> Option<Vec<u8>> {
    BASE64URL_NOPAD.decode(ticket.as_bytes()).ok()
}

#[cfg(test)]
mod tests;
