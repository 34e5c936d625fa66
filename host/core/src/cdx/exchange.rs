//! What CDX hands on from one participant of a session to the others (NAT-2).
//!
//! All is in the ticket: CDX opens it, checks that it is the one to take it, that its time is not over and that
//! it comes from where its holder was seen, and sends the payload to the others. What it sends to each is
//! shorter than what it received. Repeats of a ticket are bounded by whoever calls, by [`Handed::holder`].

use alloc::vec::Vec;
use core::net::SocketAddr;

use switchhook_protocol::{
    exchange::{FromCdx, TO_CDX, ToCdx},
    id::SessionId,
    time::Timestamp,
};

use super::Route;
use crate::{
    exchange::{ExchangeTicket, MAX_PARTICIPANTS},
    seal::{KeyRing, SealError},
};

/// Why nothing is handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotHanded {
    /// It is cut, too long, or the ticket does not name its holder.
    #[error("malformed")]
    Malformed,
    /// This host did not make the ticket, or somebody changed it.
    #[error(transparent)]
    Forged(#[from] SealError),
    /// Its two minutes are over.
    #[error("expired")]
    Expired,
    /// Another address of CDX is to take it.
    #[error("for another address of CDX")]
    OtherCdx,
    /// Its holder was seen elsewhere.
    #[error("not from where its holder was seen")]
    OtherSource,
}

/// A payload on its way to the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handed<'a> {
    ticket: ExchangeTicket,
    payload: &'a [u8],
}

/// Whether a datagram is of an exchange at all; if not, it may be STUN.
pub fn is_exchange(datagram: &[u8]) -> bool {
    datagram.first() == Some(&TO_CDX)
}

/// Decides about one datagram of an exchange.
pub fn hand_on<'a>(
    datagram: &'a [u8],
    route: Route,
    keys: &KeyRing,
    now: Timestamp,
) -> Result<Handed<'a>, NotHanded> {
    let ToCdx { ticket, payload } = ToCdx::read(datagram).ok_or(NotHanded::Malformed)?;
    let ticket = ExchangeTicket::open(keys, ticket)?;
    if ticket.cdx != route.to {
        return Err(NotHanded::OtherCdx);
    }
    if ticket.expires_at <= now {
        return Err(NotHanded::Expired);
    }
    let own = ticket.own().filter(|_| ticket.participants.len() <= MAX_PARTICIPANTS);
    if own.ok_or(NotHanded::Malformed)? != route.from {
        return Err(NotHanded::OtherSource);
    }
    Ok(Handed { ticket, payload })
}

impl Handed<'_> {
    /// Whose words these are: one holder's repeats are counted together, whichever ticket they come with.
    pub const fn holder(&self) -> (&SessionId, u8) {
        (&self.ticket.session, self.ticket.place)
    }

    /// Where the others are.
    pub fn others(&self) -> impl Iterator<Item = SocketAddr> {
        let own = usize::from(self.ticket.place);
        let others = self.ticket.participants.iter().enumerate().filter(move |(place, _)| *place != own);
        others.map(|(_, other)| other.addr)
    }

    /// Writes what each of the others gets.
    pub fn write(&self, out: &mut Vec<u8>) {
        FromCdx { sender: self.ticket.place, payload: self.payload }.write(out);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use core::time::Duration;

    use switchhook_protocol::id::DeviceId;

    use super::*;
    use crate::{
        cdx::Others,
        exchange::{TICKET_LIFE, Whereabouts},
        seal::{Purpose, RootKeys, Scope},
        testing::TestRng,
    };

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
    const ALICE: &str = "198.51.100.1:1000";
    const BOB: &str = "198.51.100.2:2000";
    const CAROL: &str = "[2001:db8::3]:3000";
    const CDX: &str = "192.0.2.9:3479";

    fn keys() -> KeyRing {
        RootKeys::new([1; 32], []).ring(Scope::Cdx)
    }

    fn ticket(place: u8) -> ExchangeTicket {
        let device: DeviceId = "d".parse().unwrap();
        let whereabouts =
            |addr: &str| Whereabouts { device: device.clone(), addr: addr.parse().unwrap(), at: NOW };
        ExchangeTicket {
            session: "s1".parse().unwrap(),
            generation: 1,
            place,
            participants: [ALICE, BOB, CAROL].map(whereabouts).to_vec(),
            cdx: CDX.parse().unwrap(),
            expires_at: NOW.after(TICKET_LIFE),
        }
    }

    fn datagram(ticket: &ExchangeTicket, keys: &KeyRing) -> Vec<u8> {
        let plain = postcard::to_allocvec(ticket).unwrap();
        let sealed = keys.seal_bytes(Purpose::ExchangeTicket, &plain, &mut TestRng(1));
        ToCdx { ticket: &sealed, payload: b"here I am" }.write().unwrap()
    }

    fn judge<'a>(datagram: &'a [u8], from: &str, to: &str, now: Timestamp) -> Result<Handed<'a>, NotHanded> {
        hand_on(datagram, route(from, to), &keys(), now)
    }

    fn route(from: &str, to: &str) -> Route {
        let others = Others { port: 3480, ip: None };
        Route { from: from.parse().unwrap(), to: to.parse().unwrap(), others }
    }

    #[test]
    fn nat_2_the_others_get_the_payload_and_who_sent_it_and_no_more_than_was_sent() {
        let datagram = datagram(&ticket(1), &keys());
        let handed = judge(&datagram, BOB, CDX, NOW).unwrap();
        assert_eq!(handed.others().collect::<Vec<_>>(), [ALICE, CAROL].map(|addr| addr.parse().unwrap()));
        assert_eq!(handed.holder(), (&"s1".parse().unwrap(), 1));
        let mut out = vec![9; 4];
        handed.write(&mut out);
        assert_eq!(out, b"\xC3\x01here I am");
        assert!(out.len() < datagram.len());
    }

    #[test]
    fn nat_2_a_ticket_counts_for_its_time_at_its_cdx_and_from_its_holder_alone() {
        let datagram = datagram(&ticket(0), &keys());
        let refused = |from, to, now| judge(&datagram, from, to, now).err();
        assert_eq!(refused(ALICE, CDX, NOW.after(Duration::from_secs(119))), None);
        assert_eq!(refused(ALICE, CDX, NOW.after(TICKET_LIFE)), Some(NotHanded::Expired));
        assert_eq!(refused(ALICE, "192.0.2.9:3480", NOW), Some(NotHanded::OtherCdx));
        assert_eq!(refused(BOB, CDX, NOW), Some(NotHanded::OtherSource), "another participant");
        assert_eq!(refused("198.51.100.1:1001", CDX, NOW), Some(NotHanded::OtherSource), "mapped anew");
    }

    #[test]
    fn nat_2_a_forged_foreign_cut_or_changed_ticket_is_dropped() {
        let good = datagram(&ticket(0), &keys());
        let end_of_ticket = good.len() - b"here I am".len();
        for at in 0..end_of_ticket {
            let mut changed = good.clone();
            changed[at] ^= 1;
            assert!(judge(&changed, ALICE, CDX, NOW).is_err(), "byte {at}");
            assert!(judge(&good[..at], ALICE, CDX, NOW).is_err(), "cut at {at}");
        }
        let foreign = datagram(&ticket(0), &RootKeys::new([2; 32], []).ring(Scope::Cdx));
        assert_eq!(judge(&foreign, ALICE, CDX, NOW), Err(NotHanded::Forged(SealError::UnknownKey)));
        let sealed = keys().seal_bytes(Purpose::Observation, b"an observation", &mut TestRng(1));
        let other = ToCdx { ticket: &sealed, payload: b"p" }.write().unwrap();
        assert_eq!(judge(&other, ALICE, CDX, NOW), Err(NotHanded::Forged(SealError::Forged)));
        let nobody = datagram(&ticket(3), &keys());
        assert_eq!(judge(&nobody, ALICE, CDX, NOW), Err(NotHanded::Malformed), "a place that nobody has");
    }

    #[test]
    fn nat_2_a_ticket_of_the_previous_key_counts_after_a_rotation() {
        let datagram = datagram(&ticket(0), &keys());
        let rotated = RootKeys::new([2; 32], [[1; 32]]).ring(Scope::Cdx);
        assert!(hand_on(&datagram, route(ALICE, CDX), &rotated, NOW).is_ok());
    }
}
