//! What bounds CDX, each with its reason.

use std::time::Duration;

use crate::rate::Rate;

/// Datagrams that are answered before a port's task looks up again: whether to stop, and whose turn it is.
pub(crate) const BATCH: usize = 64;

/// Larger messages are cut as datagrams, and so malformed; in streams they end the stream.
pub(crate) const LARGEST: usize = 1500;

/// What one participant of a session may have told at once, and again each second: a client says it a few times
/// within the first seconds, and once more when it is elsewhere on the network.
pub(crate) const TOLD: Rate = Rate { burst: 16, per_second: 2 };

/// Streams of one port at a time. Each asks once or twice and goes; more are strangers who hold them open.
pub(crate) const STREAMS: usize = 256;

/// Streams of one port at a time of one subscriber: an office behind its address, all of whose devices come
/// back at once, is answered in turn, and the others beside it.
pub(crate) const STREAMS_EACH: usize = 32;

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
