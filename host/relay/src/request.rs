//! What a TURN request says, as far as its client signed it.

use std::net::SocketAddr;

use switchhook_core::stun::{self, Message};
use switchhook_protocol::time::Timestamp;

use crate::{
    connections::ConnectionId,
    family::Family,
    limits,
    refusal::Refusal,
    reservations::ReservationToken,
    transport::Transport,
    wire::{CHANNELS, attribute},
};

/// The first attribute of a type that the client signed.
pub(crate) fn covered<'a>(request: &Message<'a>, kind: u16) -> Option<&'a [u8]> {
    request.covered_attributes().find_map(|(found, value)| (found == kind).then_some(value))
}

/// What an Allocate request wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) transport: Transport,
    pub(crate) family: Option<Family>,
    /// One address of each family.
    pub(crate) both: bool,
    pub(crate) port: WantedPort,
    /// It is to follow its client to other addresses.
    pub(crate) mobile: bool,
}

/// Which port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WantedPort {
    Any,
    Even,
    /// An even one, and the next one for a second allocation.
    Pair,
    Reserved(ReservationToken),
}

impl Wanted {
    /// RFC 8656 §7.2, in its order, and RFC 6062 §5.1.
    pub(crate) fn read(request: &Message<'_>) -> Result<Self, Refusal> {
        let transport = covered(request, attribute::REQUESTED_TRANSPORT).ok_or(Refusal::BadRequest)?;
        let transport = Transport::read(transport).ok_or(Refusal::UnsupportedTransport)?;
        let port = wanted_port(request)?;
        let is_for_datagrams =
            port != WantedPort::Any || covered(request, attribute::DONT_FRAGMENT).is_some();
        if transport == Transport::Tcp && is_for_datagrams {
            return Err(Refusal::BadRequest);
        }
        let family = covered(request, attribute::REQUESTED_ADDRESS_FAMILY);
        let additional = covered(request, attribute::ADDITIONAL_ADDRESS_FAMILY);
        let family = family.map(|value| Family::read(value).ok_or(Refusal::AddressFamily)).transpose()?;
        // IPv4 is what a client gets unasked; so the only family to add is the other.
        if additional.is_some_and(|value| Family::read(value) != Some(Family::V6)) {
            return Err(Refusal::BadRequest);
        }
        let both = additional.is_some();
        let contradicts = match port {
            WantedPort::Reserved(_) => both || family.is_some(),
            WantedPort::Pair => both,
            WantedPort::Any | WantedPort::Even => false,
        };
        if contradicts || (both && family.is_some()) {
            return Err(Refusal::BadRequest);
        }
        let ticket = covered(request, attribute::MOBILITY_TICKET);
        // There is no ticket yet that could be shown (RFC 8016).
        if ticket.is_some_and(|shown| !shown.is_empty()) {
            return Err(Refusal::BadRequest);
        }
        Ok(Self { transport, family, both, port, mobile: ticket.is_some() })
    }
}

fn wanted_port(request: &Message<'_>) -> Result<WantedPort, Refusal> {
    let even = covered(request, attribute::EVEN_PORT);
    let reserved = covered(request, attribute::RESERVATION_TOKEN);
    match (even, reserved) {
        (None, None) => Ok(WantedPort::Any),
        (Some([flags]), None) => Ok(if flags & 0x80 == 0 { WantedPort::Even } else { WantedPort::Pair }),
        (None, Some(token)) => token.try_into().map(WantedPort::Reserved).or(Err(Refusal::BadRequest)),
        (Some(_), _) => Err(Refusal::BadRequest),
    }
}

/// The channel that a request is to bind.
pub(crate) fn channel(request: &Message<'_>) -> Option<u16> {
    let value = covered(request, attribute::CHANNEL_NUMBER)?;
    let number = u16::from_be_bytes(*value.first_chunk()?);
    CHANNELS.contains(&number).then_some(number)
}

/// All peers that a request names; nothing if it names none, or one in no form of an address.
pub(crate) fn peers(request: &Message<'_>) -> Option<Vec<SocketAddr>> {
    let named = request.covered_attributes().filter(|(kind, _)| *kind == attribute::XOR_PEER_ADDRESS);
    let peers: Option<Vec<SocketAddr>> =
        named.map(|(_, value)| stun::read_address(value, &request.transaction())).collect();
    peers.filter(|peers| !peers.is_empty())
}

/// The connection that a request is to be joined with.
pub(crate) fn connection(request: &Message<'_>) -> Option<ConnectionId> {
    covered(request, attribute::CONNECTION_ID)?.try_into().ok()
}

/// Seconds that an allocation lives on: what the client asks for, between the usual and the longest
/// (RFC 8656 §7.2), as far as its token reaches.
pub(crate) fn lifetime(request: &Message<'_>, now: Timestamp, expires_at: Timestamp) -> u32 {
    let asked = asked_lifetime(request).unwrap_or(limits::DEFAULT_LIFETIME);
    let left = u32::try_from(now.until(expires_at).as_secs()).unwrap_or(u32::MAX);
    asked.clamp(limits::DEFAULT_LIFETIME, limits::LONGEST_LIFETIME).min(left.max(1))
}

/// Whether the client gives its allocation up.
pub(crate) fn gives_up(request: &Message<'_>) -> bool {
    asked_lifetime(request) == Some(0)
}

fn asked_lifetime(request: &Message<'_>) -> Option<u32> {
    let value = covered(request, attribute::LIFETIME)?;
    value.try_into().ok().map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use switchhook_core::stun::Writer;

    use super::*;
    use crate::wire::message_type;

    const UDP: (u16, &[u8]) = (attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
    const TCP: (u16, &[u8]) = (attribute::REQUESTED_TRANSPORT, &[6, 0, 0, 0]);
    const IPV6: &[u8] = &[2, 0, 0, 0];

    #[expect(clippy::unwrap_in_result, reason = "what the test wrote is a message")]
    fn wanted(attributes: &[(u16, &[u8])]) -> Result<Wanted, Refusal> {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out, message_type::ALLOCATE, [1; 12]);
        for (kind, value) in attributes {
            writer.attribute(*kind, value);
        }
        Wanted::read(&Message::parse(&out).unwrap())
    }

    #[test]
    fn what_contradicts_itself_is_a_bad_request() {
        let token = (attribute::RESERVATION_TOKEN, &[7; 8][..]);
        let both = (attribute::ADDITIONAL_ADDRESS_FAMILY, IPV6);
        let family = (attribute::REQUESTED_ADDRESS_FAMILY, IPV6);
        let pair = (attribute::EVEN_PORT, &[0x80][..]);
        for wrong in [
            &[][..],
            &[UDP, pair, token],
            &[UDP, token, family],
            &[UDP, token, both],
            &[UDP, family, both],
            &[UDP, pair, both],
            &[UDP, (attribute::ADDITIONAL_ADDRESS_FAMILY, &[1, 0, 0, 0])],
            &[UDP, (attribute::EVEN_PORT, &[0x80, 0, 0, 0])],
            &[UDP, (attribute::RESERVATION_TOKEN, &[7; 4])],
            &[UDP, (attribute::MOBILITY_TICKET, &[7; 32])],
            &[TCP, pair],
            &[TCP, (attribute::EVEN_PORT, &[0])],
            &[TCP, token],
            &[TCP, (attribute::DONT_FRAGMENT, &[])],
        ] {
            assert_eq!(wanted(wrong), Err(Refusal::BadRequest), "{wrong:?}");
        }
        let sctp = (attribute::REQUESTED_TRANSPORT, &[132, 0, 0, 0][..]);
        assert_eq!(wanted(&[sctp]), Err(Refusal::UnsupportedTransport));
        let strange = (attribute::REQUESTED_ADDRESS_FAMILY, &[3, 0, 0, 0][..]);
        assert_eq!(wanted(&[UDP, strange]), Err(Refusal::AddressFamily));
    }

    #[test]
    fn what_is_asked_for_is_understood() {
        let port = |attribute| wanted(&[UDP, attribute]).unwrap().port;
        assert_eq!(port((attribute::EVEN_PORT, &[0])), WantedPort::Even);
        assert_eq!(port((attribute::EVEN_PORT, &[0x80])), WantedPort::Pair);
        assert_eq!(port((attribute::RESERVATION_TOKEN, &[7; 8])), WantedPort::Reserved([7; 8]));
        assert!(wanted(&[UDP, (attribute::ADDITIONAL_ADDRESS_FAMILY, IPV6)]).unwrap().both);
        assert!(wanted(&[UDP, (attribute::MOBILITY_TICKET, &[])]).unwrap().mobile);
        assert!(!wanted(&[UDP]).unwrap().mobile);
        let transports = [UDP, TCP].map(|transport| wanted(&[transport]).unwrap().transport);
        assert_eq!(transports, [Transport::Udp, Transport::Tcp]);
    }
}
