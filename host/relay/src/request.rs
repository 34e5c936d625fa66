//! What a TURN request says, as far as its client signed it.

use std::net::IpAddr;

use switchhook_core::stun::{self, Message};
use switchhook_protocol::time::Timestamp;

use crate::wire::{CHANNELS, attribute, message_type};

/// Lifetime of an allocation whose client names none, in seconds (RFC 8656 §3.2).
const DEFAULT_LIFETIME: u32 = 600;

/// The first attribute of a type that the client signed.
pub(crate) fn covered<'a>(request: &Message<'a>, kind: u16) -> Option<&'a [u8]> {
    request.covered_attributes().find_map(|(found, value)| (found == kind).then_some(value))
}

/// Whether a request to bind a channel names one that a client may bind; others need none.
pub(crate) fn names_a_channel_if_it_must(request: &Message<'_>) -> bool {
    let channel = covered(request, attribute::CHANNEL_NUMBER);
    let number = channel.and_then(|value| value.first_chunk()).map(|number| u16::from_be_bytes(*number));
    let valid = number.is_some_and(|number| CHANNELS.contains(&number));
    valid || request.message_type() != message_type::CHANNEL_BIND
}

/// All peers that a request names, as they stand in it.
pub(crate) fn all_peers<'a>(request: &Message<'a>) -> Vec<&'a [u8]> {
    let peers = request.covered_attributes().filter(|(kind, _)| *kind == attribute::XOR_PEER_ADDRESS);
    peers.map(|(_, value)| value).collect()
}

/// The address of one of them; its port is judged by packet.
pub(crate) fn peer_ip(request: &Message<'_>, peer: &[u8]) -> Option<IpAddr> {
    stun::read_address(peer, &request.transaction()).map(|addr| addr.ip())
}

/// Whether the crate gets an attribute of a request as the client signed it; the gate writes the others.
pub(crate) const fn is_passed_on(kind: u16) -> bool {
    matches!(
        kind,
        attribute::CHANNEL_NUMBER
            | attribute::REQUESTED_ADDRESS_FAMILY
            | attribute::REQUESTED_TRANSPORT
            | attribute::DONT_FRAGMENT
    )
}

/// Seconds that the client asks for, as far as its token reaches; 0 gives the allocation up.
pub(crate) fn lifetime(request: &Message<'_>, now: Timestamp, expires_at: Timestamp) -> u32 {
    let asked = covered(request, attribute::LIFETIME).and_then(|value| value.try_into().ok());
    let left = u32::try_from(now.until(expires_at).as_secs()).unwrap_or(u32::MAX);
    asked.map_or(DEFAULT_LIFETIME, u32::from_be_bytes).min(left.max(1))
}
