//! Numbers of TURN (RFC 8656 §17, §18), beside those of STUN in `core`.

use switchhook_core::stun::attribute as stun;

/// Message types: class and method as they stand on the wire.
pub(crate) mod message_type {
    pub(crate) const ALLOCATE: u16 = 0x0003;
    pub(crate) const REFRESH: u16 = 0x0004;
    pub(crate) const CREATE_PERMISSION: u16 = 0x0008;
    pub(crate) const CHANNEL_BIND: u16 = 0x0009;
    pub(crate) const SEND: u16 = 0x0016;
    pub(crate) const DATA: u16 = 0x0017;
    /// Added to a request's type it is that of its answer.
    pub(crate) const SUCCESS: u16 = 0x0100;
    /// Added to a request's type it is that of its refusal.
    pub(crate) const ERROR: u16 = 0x0110;
}

/// Attribute types.
pub(crate) mod attribute {
    pub(crate) const CHANNEL_NUMBER: u16 = 0x000C;
    pub(crate) const LIFETIME: u16 = 0x000D;
    pub(crate) const XOR_PEER_ADDRESS: u16 = 0x0012;
    pub(crate) const DATA: u16 = 0x0013;
    pub(crate) const XOR_RELAYED_ADDRESS: u16 = 0x0016;
    pub(crate) const REQUESTED_ADDRESS_FAMILY: u16 = 0x0017;
    pub(crate) const EVEN_PORT: u16 = 0x0018;
    pub(crate) const REQUESTED_TRANSPORT: u16 = 0x0019;
    pub(crate) const DONT_FRAGMENT: u16 = 0x001A;
    pub(crate) const RESERVATION_TOKEN: u16 = 0x0022;
    pub(crate) const ADDITIONAL_ADDRESS_FAMILY: u16 = 0x8000;
    pub(crate) const ADDRESS_ERROR_CODE: u16 = 0x8001;
    pub(crate) const ICMP: u16 = 0x8004;
}

/// Channel numbers that a client may bind.
///
/// RFC 8656 §12 ends at 0x4FFF; clients of RFC 5766, coturn's among them, choose up to 0x7FFF.
pub(crate) const CHANNELS: std::ops::RangeInclusive<u16> = 0x4000..=0x7FFF;

/// Size of what stands before the data of a channel: its number, and the data's length.
pub(crate) const CHANNEL_HEADER: usize = 4;

/// `ChannelData` begins with a channel number, STUN with two zero bits.
pub(crate) const fn is_channel_data(first: u8) -> bool {
    first & 0xC0 == 0x40
}

/// The channel of `ChannelData`, and its data; what a client padded it with is not part of it.
pub(crate) fn channel_data(message: &[u8]) -> Option<(u16, &[u8])> {
    let ([c0, c1, l0, l1], rest) = message.split_first_chunk::<CHANNEL_HEADER>()?;
    let data = rest.get(..usize::from(u16::from_be_bytes([*l0, *l1])))?;
    Some((u16::from_be_bytes([*c0, *c1]), data))
}

/// What stands before so much data of a channel; nothing if that is more than a datagram holds.
pub(crate) fn channel_header(channel: u16, length: usize) -> Option<[u8; CHANNEL_HEADER]> {
    let [c0, c1] = channel.to_be_bytes();
    let [l0, l1] = u16::try_from(length).ok()?.to_be_bytes();
    Some([c0, c1, l0, l1])
}

/// Whether an attribute of a request must be understood and is not.
pub(crate) const fn must_refuse(kind: u16) -> bool {
    let known = matches!(
        kind,
        stun::USERNAME
            | stun::REALM
            | stun::NONCE
            // Covered where the stronger integrity follows it.
            | stun::MESSAGE_INTEGRITY
            | stun::MESSAGE_INTEGRITY_SHA256
            | stun::PASSWORD_ALGORITHM
            | attribute::CHANNEL_NUMBER
            | attribute::LIFETIME
            | attribute::XOR_PEER_ADDRESS
            | attribute::DATA
            | attribute::REQUESTED_ADDRESS_FAMILY
            | attribute::EVEN_PORT
            | attribute::REQUESTED_TRANSPORT
            | attribute::DONT_FRAGMENT
            | attribute::RESERVATION_TOKEN
    );
    !known && !stun::is_optional(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_of_a_channel_ends_where_it_says_and_not_where_the_datagram_does() {
        assert_eq!(channel_data(b"\x40\x01\0\x02hi\0\0"), Some((0x4001, &b"hi"[..])));
        assert_eq!(channel_data(b"\x40\x01\0\0"), Some((0x4001, &b""[..])));
        assert_eq!(channel_data(b"\x40\x01\0\x03hi"), None, "cut");
        assert_eq!(channel_data(b"\x40\x01\0"), None);
        assert_eq!(channel_header(0x4001, 2), Some([0x40, 1, 0, 2]));
        assert_eq!(channel_header(0x4001, 0x1_0000), None);
    }
}
