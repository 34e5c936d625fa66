//! Numbers of TURN (RFC 8656 §17 and §18, RFC 8016), and the parts of its messages that the client needs.

use core::{net::SocketAddr, ops::Range, time::Duration};

use stun_types::{
    attribute::{AttributeType, ErrorCode, RawAttribute, XorSocketAddr},
    message::{Message, MessageWriteExt as _, MessageWriteVec, Method},
};

pub(super) const ALLOCATE: Method = Method::new(0x003);
pub(super) const REFRESH: Method = Method::new(0x004);
pub(super) const DATA_INDICATION: Method = Method::new(0x007);
pub(super) const CHANNEL_BIND: Method = Method::new(0x009);

pub(super) const CHANNEL_NUMBER: AttributeType = AttributeType::new(0x000C);
pub(super) const LIFETIME: AttributeType = AttributeType::new(0x000D);
pub(super) const XOR_PEER_ADDRESS: AttributeType = AttributeType::new(0x0012);
pub(super) const DATA: AttributeType = AttributeType::new(0x0013);
pub(super) const XOR_RELAYED_ADDRESS: AttributeType = AttributeType::new(0x0016);
pub(super) const REQUESTED_ADDRESS_FAMILY: AttributeType = AttributeType::new(0x0017);
pub(super) const REQUESTED_TRANSPORT: AttributeType = AttributeType::new(0x0019);
pub(super) const MOBILITY_TICKET: AttributeType = AttributeType::new(0x8030);

/// The peers of an allocation are reached by UDP.
pub(super) const UDP: [u8; 4] = [17, 0, 0, 0];
/// An address of IPv4, which is also what a relay gives unasked.
pub(super) const IPV4: [u8; 4] = [1, 0, 0, 0];
/// An address of IPv6.
pub(super) const IPV6: [u8; 4] = [2, 0, 0, 0];

/// Error codes that the client acts on.
pub(super) mod code {
    pub(crate) const UNAUTHORIZED: u16 = 401;
    pub(crate) const MOBILITY_FORBIDDEN: u16 = 405;
    pub(crate) const ALLOCATION_MISMATCH: u16 = 437;
    pub(crate) const STALE_NONCE: u16 = 438;
}

/// Channel numbers that a client may bind (RFC 8656 §12).
pub(super) const CHANNELS: Range<u16> = 0x4000..0x5000;

/// Number and length stand before the data of a channel.
const CHANNEL_HEADER: usize = 4;

/// Adds an attribute; none if it is too long for a message.
pub(super) fn add(message: &mut MessageWriteVec, kind: AttributeType, value: &[u8]) -> Option<()> {
    message.add_attribute(&RawAttribute::new(kind, value)).ok()
}

/// Adds an address in the form of XOR-MAPPED-ADDRESS.
pub(super) fn add_address(
    message: &mut MessageWriteVec,
    kind: AttributeType,
    addr: SocketAddr,
) -> Option<()> {
    let address = XorSocketAddr::new(addr, message.transaction_id());
    message.add_attribute(&address.to_raw(kind)).ok()
}

/// The first address of this kind that a message names.
pub(super) fn address(message: &Message<'_>, kind: AttributeType) -> Option<SocketAddr> {
    let raw = message.raw_attribute(kind)?;
    Some(XorSocketAddr::from_raw(&raw).ok()?.addr(message.transaction_id()))
}

/// How long the relay keeps the allocation.
pub(super) fn lifetime(message: &Message<'_>) -> Option<Duration> {
    let raw = message.raw_attribute(LIFETIME)?;
    let seconds = <[u8; 4]>::try_from(&*raw.value).ok()?;
    Some(Duration::from_secs(u32::from_be_bytes(seconds).into()))
}

/// The bytes of an attribute.
pub(super) fn value(message: &Message<'_>, kind: AttributeType) -> Option<Vec<u8>> {
    Some(message.raw_attribute(kind)?.value.to_vec())
}

/// Why a request was refused.
pub(super) fn error_code(message: &Message<'_>) -> Option<u16> {
    message.attribute::<ErrorCode>().ok().map(|error| error.code())
}

/// Writes data of a channel; none if it is too long for one message (RFC 8656 §12.4).
pub(super) fn write_channel_data(out: &mut Vec<u8>, channel: u16, data: &[u8]) -> Option<()> {
    let length = u16::try_from(data.len()).ok()?;
    out.clear();
    out.extend_from_slice(&channel.to_be_bytes());
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(data);
    Some(())
}

/// Of data of a channel, its number, and where in the message the data is; none of what is something else.
pub(super) fn channel_data(message: &[u8]) -> Option<(u16, Range<usize>)> {
    let (channel, rest) = message.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (channel, length) = (u16::from_be_bytes(*channel), usize::from(u16::from_be_bytes(*length)));
    // Other numbers are of STUN, or of nothing.
    let whole = (0x4000..0x8000).contains(&channel) && length <= rest.len();
    whole.then(|| (channel, CHANNEL_HEADER..CHANNEL_HEADER + length))
}

/// Of a Data indication, the peer, and where in the message the data is (RFC 8656 §11.6).
pub(super) fn indicated(message: &Message<'_>) -> Option<(SocketAddr, Range<usize>)> {
    if !message.has_method(DATA_INDICATION) {
        return None;
    }
    let peer = address(message, XOR_PEER_ADDRESS)?;
    let (offset, data) = message.raw_attribute_and_offset(DATA)?;
    let begin = offset + ATTRIBUTE_HEADER;
    Some((peer, begin..begin + data.value.len()))
}

/// Type and length stand before the value of an attribute.
const ATTRIBUTE_HEADER: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_of_a_channel_is_read_as_it_is_written() {
        let mut out = vec![9; 9];
        write_channel_data(&mut out, 0x4001, b"hello").unwrap();
        assert_eq!(out, b"\x40\x01\0\x05hello");
        assert_eq!(channel_data(&out), Some((0x4001, 4..9)));
        assert_eq!(channel_data(b"\x40\x01\0\x02hi\0\0"), Some((0x4001, 4..6)), "with what fills it up");
        for no_data in
            [&b"\x40\x01\0\x06hello"[..], b"\x40\x01\0", b"\0\x01\0\x05hello", b"\x80\x01\0\x05hello"]
        {
            assert_eq!(channel_data(no_data), None, "{no_data:?}");
        }
        assert_eq!(write_channel_data(&mut out, 0x4001, &vec![0; 65_536]), None);
    }
}
