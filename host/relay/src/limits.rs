//! What bounds streams, each with its reason.

use std::time::Duration;

/// Streams at a time: each is a file of the process, and the system gives it some thousands more for
/// allocations.
pub(crate) const STREAMS: usize = 4_096;

/// Messages of all streams that wait for the relay. Full, the streams wait, and their clients with them.
pub(crate) const ARRIVALS: usize = 1_024;

/// Messages that wait for one client. Full, the next are lost: its path is slower than what its peer sends.
pub(crate) const WAITING: usize = 64;

/// The longest message that the relay looks at. Longer data would not reach a peer in one piece.
pub(crate) const LARGEST: usize = 1_500;

/// How long a stream without an allocation may be silent. A client asks as soon as it is connected.
pub(crate) const SILENCE: Duration = Duration::from_secs(20);

/// How long a message may take from its first byte to its last, in and out.
pub(crate) const MESSAGE: Duration = Duration::from_secs(20);

/// How long nothing is accepted after that failed: the system has no room, and trying costs.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Free ports that are tried where any port will do, until one is free for datagrams and streams.
pub(crate) const PORT_TRIES: usize = 16;
