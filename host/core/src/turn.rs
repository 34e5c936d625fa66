//! What TURN puts on the wire beside STUN's messages: data of channels, in datagrams and in streams
//! (RFC 8656 §12.4, §12.5).

use crate::stun;

/// Size of what stands before the data of a channel: its number, and the data's length.
pub const CHANNEL_HEADER: usize = 4;

/// Whether a message that begins so is `ChannelData`: a channel's number does, STUN begins with two zero bits.
pub const fn is_channel_data(first: u8) -> bool {
    first & 0xC0 == 0x40
}

/// The channel of `ChannelData`, and its data; what a client padded it with is not part of it.
pub fn channel_data(message: &[u8]) -> Option<(u16, &[u8])> {
    let ([c0, c1, l0, l1], rest) = message.split_first_chunk::<CHANNEL_HEADER>()?;
    let data = rest.get(..usize::from(u16::from_be_bytes([*l0, *l1])))?;
    Some((u16::from_be_bytes([*c0, *c1]), data))
}

/// What stands before so much data of a channel; nothing if that is more than a datagram holds.
pub fn channel_header(channel: u16, length: usize) -> Option<[u8; CHANNEL_HEADER]> {
    let [c0, c1] = channel.to_be_bytes();
    let [l0, l1] = u16::try_from(length).ok()?.to_be_bytes();
    Some([c0, c1, l0, l1])
}

/// Bytes of the message that begins so in a stream: STUN, or data of a channel, padded to a multiple of four.
/// Nothing where it is neither.
pub fn frame_length(begin: [u8; CHANNEL_HEADER]) -> Option<usize> {
    let [first, _, l0, l1] = begin;
    if is_channel_data(first) {
        return Some(CHANNEL_HEADER + usize::from(u16::from_be_bytes([l0, l1])).next_multiple_of(4));
    }
    stun::frame_length(begin).ok()
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

    #[test]
    fn in_a_stream_data_of_a_channel_is_padded() {
        assert_eq!(frame_length(*b"\x40\x01\0\x05"), Some(12));
        assert_eq!(frame_length(*b"\x7F\xFF\xFF\xFF"), Some(0x1_0004));
        assert_eq!(frame_length(*b"\0\x01\0\x08"), Some(28));
        assert_eq!(frame_length(*b"\0\x01\0\x03"), None, "no multiple of four");
        assert_eq!(frame_length(*b"\x80\0\0\0"), None);
    }
}
