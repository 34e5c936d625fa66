//! Streams of strangers at the relay.

use switchhook_core::turn::{CHANNEL_HEADER, channel_data, channel_header, frame_length, is_channel_data};

use crate::stun;

/// A stream is cut where its messages say: data of a channel is all of its message but the header and at most three
/// bytes, and is headed the same when it is sent again; everything else is at most a message of STUN. True if
/// data of a channel came.
pub fn turn(bytes: &[u8]) -> bool {
    let (mut rest, mut came) = (bytes, false);
    while let Some((length, begin)) =
        rest.first_chunk().and_then(|begin| Some((frame_length(*begin)?, begin)))
    {
        assert!(length >= CHANNEL_HEADER && length.is_multiple_of(4));
        let Some((message, others)) = rest.split_at_checked(length) else { return came };
        if is_channel_data(begin[0]) {
            let (channel, data) = channel_data(message).expect("a whole message has its data");
            assert!((0x4000..0x8000).contains(&channel));
            let padding = length - CHANNEL_HEADER - data.len();
            assert!(padding < 4, "{padding} bytes are nobody's");
            assert_eq!(channel_header(channel, data.len()).as_ref(), Some(begin));
            came = true;
        } else {
            stun(message);
        }
        rest = others;
    }
    came
}
