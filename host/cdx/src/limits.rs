//! What bounds CDX, each with its reason.

use std::{
    num::{NonZeroU64, NonZeroUsize},
    time::Duration,
};

use switchhook_core::rate::Rate;

/// Datagrams that are answered before a port's task looks up again: whether to stop, and whose turn it is.
pub(crate) const BATCH: usize = 64;

/// Larger messages are cut as datagrams, and so malformed; in streams they end the stream.
pub(crate) const LARGEST: usize = 1500;

/// What one source may ask at once, and again each second: room for some hundred devices that come back at once behind
/// one NAT.
pub(crate) const ASKED: Rate = Rate { burst: 1000, per_second: 200 };

/// Buckets for those who ask, or tell, at one port: 8 bytes each. Two sources of ten thousand rarely share one.
pub(crate) const BUCKETS: NonZeroU64 = NonZeroU64::new(16 * 1024).unwrap();

/// What one participant of a session may have told at once, and again each second: a client says it a few times
/// within the first seconds, and once more when it is elsewhere on the network.
pub(crate) const TOLD: Rate = Rate { burst: 16, per_second: 2 };

/// What one device may ask under its key at once, and again each second: it asks each port up to four times a look, and
/// looks again when its network changes.
pub(crate) const ASKED_IN_SECRET: Rate = Rate { burst: 32, per_second: 4 };

/// Questions that are remembered as answered, 8 bytes each: all of some seconds under the load of a region, and of
/// minutes as a rule.
pub(crate) const REPEATS: NonZeroUsize = NonZeroUsize::new(64 * 1024).unwrap();

/// Streams of one port at a time. Each asks once or twice and goes; more are strangers who hold them open.
pub(crate) const STREAMS: usize = 256;

/// Streams of one port at a time of one subscriber: an office behind its address, all of whose devices come
/// back at once, is answered in turn, and the others beside it.
pub(crate) const STREAMS_EACH: usize = 32;

/// Streams of one port that wait to be accepted.
pub(crate) const WAITING_STREAMS: i32 = 256;

/// Messages that one stream may ask: for both its addresses, repeated and more.
pub(crate) const STREAM_MESSAGES: usize = 16;

/// How long a stream may take for all that: longer than the 39.5 seconds that a client waits for an
/// answer over TCP (RFC 8489 §6.2.2).
pub(crate) const STREAM_LIFE: Duration = Duration::from_secs(45);

/// How long a port accepts nothing after it could not: the system has no room, and trying costs.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Free ports that are tried where any port will do, until one is free for datagrams and streams of all
/// addresses.
pub(crate) const PORT_TRIES: usize = 16;
