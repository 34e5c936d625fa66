//! What bounds the relay, each with its reason.

use std::time::Duration;

/// Streams at a time: each is a file of the process, and the system gives it some thousands more for
/// allocations.
pub(crate) const STREAMS: usize = 4_096;

/// Streams at a time of one subscriber. There may be an office behind its address, which lets no datagram out
/// and has every call relayed; the others are served all the same.
pub(crate) const STREAMS_EACH: usize = 256;

/// Messages of all streams that wait for the relay. Full, the streams wait, and their clients with them.
pub(crate) const ARRIVALS: usize = 1_024;

/// Messages that wait for one client. Full, the next are lost: its path is slower than what its peer sends.
pub(crate) const WAITING: usize = 64;

/// The longest message that the relay looks at. Longer data would not reach a peer in one piece.
pub(crate) const LARGEST: usize = 1_500;

/// After how long, and how often then, a stream must hold an allocation, whatever it says: a client asks for
/// one as soon as it is connected.
pub(crate) const WITHOUT_ALLOCATION: Duration = Duration::from_secs(20);

/// How long a message may take from its first byte to its last, in and out.
pub(crate) const MESSAGE: Duration = Duration::from_secs(20);

/// How long nothing is accepted after that failed: the system has no room, and trying costs.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Free ports that are tried where any port will do, until one is free for datagrams and streams.
pub(crate) const PORT_TRIES: usize = 16;

/// Ports that are tried for an allocation before the range counts as full: of a range that is half given out
/// nearly all tries find one, of one that is full none, and the client waits that long.
pub(crate) const RELAYED_PORT_TRIES: usize = 32;

/// Peers that one allocation may be permitted; a mesh has some, a scanner wants many.
pub(crate) const PEERS: usize = 64;

/// How long a channel lives without being bound again (RFC 8656 §12).
pub(crate) const CHANNEL_LIFE: Duration = Duration::from_mins(10);

/// How long a client's nonce serves; then it gets the next with error 438. Who overhears one, and has a
/// request that was signed with it, can send that again for so long.
pub(crate) const NONCE_LIFE: Duration = Duration::from_mins(10);

/// How long the nonce serves by which the relay signs requests for the crate: half of what the crate gives
/// it, so that none is refused for being old.
pub(crate) const CRATE_NONCE_LIFE: Duration = Duration::from_mins(30);
