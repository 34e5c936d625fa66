//! What bounds the relay, each with its reason.

use std::{num::NonZeroU64, time::Duration};

use switchhook_core::rate::Rate;

/// Participants that were sent away and are remembered: what a busy host sends away within an hour, some 100 bytes each.
pub(crate) const DEPARTED: usize = 16_384;

/// Streams at a time of each way: each is a file of the process, and the system gives it some thousands more
/// for allocations.
pub(crate) const STREAMS: usize = 4_096;

/// Streams at a time of one subscriber. There may be an office behind its address, which lets no datagram out
/// and has every call relayed; the others are served all the same.
pub(crate) const STREAMS_EACH: usize = 256;

/// Messages of all streams that wait for a shard. Full, the streams wait, and their clients with them.
pub(crate) const ARRIVALS: usize = 1_024;

/// Answers that wait for the client of one stream: it asks for an allocation, permissions and some channels at once, and
/// reads what it asked for.
pub(crate) const ANSWERS: usize = 64;

/// Messages with data that wait for one client. Full, the next are lost: its path is slower than what its peer sends.
pub(crate) const WAITING: usize = 64;

/// The longest message that the relay takes from a stream which has not held an allocation: a request, with room to
/// spare. With one it may be as long as 16 bits say, as data of datagrams may.
pub(crate) const STRANGERS_LARGEST: usize = 1_500;

/// After how long, and how often then, a stream must hold an allocation, whatever it says: a client asks for
/// one as soon as it is connected.
pub(crate) const WITHOUT_ALLOCATION: Duration = Duration::from_secs(20);

/// How long a message may take from its first byte to its last, in and out.
pub(crate) const MESSAGE: Duration = Duration::from_secs(20);

/// How long a TLS handshake may take: some round trips, and a slow telephone's cryptography.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long nothing is accepted after that failed: the system has no room, and trying costs.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Free ports that are tried where any port will do, until one is free for datagrams and streams.
pub(crate) const PORT_TRIES: usize = 16;

/// Ports that are tried for an allocation at random: of a range that is half given out nearly all tries find one. After
/// them the range is walked, which costs a look at a bit for each port that is given out.
pub(crate) const RELAYED_PORT_TRIES: usize = 32;

/// Peers that one allocation may be permitted, and channels that it may bind; a mesh has some, a scanner
/// wants many. They are looked through one by one.
pub(crate) const PEERS: usize = 64;

/// Connections with peers at a time: each is a file, and its client's stream another, of which there are so many more.
pub(crate) const CONNECTIONS: usize = 2_048;

/// Of these, those of one relayed address: as many as an allocation has peers.
pub(crate) const CONNECTIONS_EACH: usize = PEERS;

/// Connections that peers have not answered yet: they cost others nothing, and a relay that has more is being used to
/// look for who answers.
pub(crate) const DIALLING: usize = 256;

/// Of these, those of one relayed address: a client tries some addresses of one peer at once.
pub(crate) const DIALLING_EACH: usize = 8;

/// How often a participant connects. Peers are known by name and few; whoever tries many addresses or ports looks for
/// something else, and at this rate needs hours for one host.
pub(crate) const CONNECTS: Rate = Rate { burst: 32, per_second: 1 };

/// Buckets for these: 8 bytes each.
pub(crate) const CONNECTING: NonZeroU64 = NonZeroU64::new(4 * 1024).unwrap();

/// How long a peer may take to answer (RFC 6062 §5.2: at least so long).
pub(crate) const CONNECT: Duration = Duration::from_secs(30);

/// How long a connection waits for its client (RFC 6062 §5.2, §5.3).
pub(crate) const TO_BIND: Duration = Duration::from_secs(30);

/// Below it are services (mail, web, remote administration), and no peers, whose ports are their systems' choice.
pub(crate) const FIRST_PORT: u16 = 1_024;

/// Peers that wait to be let in at one relayed address; some come at once, and the system answers the next later.
pub(crate) const PEERS_WAITING: i32 = 64;

/// Peers that are let in before others have their turn.
pub(crate) const PEERS_AT_ONCE: usize = 16;

/// Bytes on their way from one side of a connection to the other: a record of TLS.
pub(crate) const PIECE: usize = 16 * 1024;

/// How long a connection waits that has had its bandwidth, before it asks for more: short beside a second's worth, of
/// which there is a whole one to be had at once.
pub(crate) const PACE: Duration = Duration::from_millis(20);

/// How long a permission lives without being asked for again (RFC 8656 §9).
pub(crate) const PERMISSION_LIFE: Duration = Duration::from_mins(5);

/// How long a channel lives without being bound again (RFC 8656 §12).
pub(crate) const CHANNEL_LIFE: Duration = Duration::from_mins(10);

/// Lifetime of an allocation whose client names none, or a shorter one, in seconds (RFC 8656 §3.2).
pub(crate) const DEFAULT_LIFETIME: u32 = 600;

/// The longest lifetime that an allocation gets at once, in seconds (RFC 8656 §7.2).
pub(crate) const LONGEST_LIFETIME: u32 = 3_600;

/// How long a client's nonce serves; then it gets the next with error 438. Who overhears one, and has a
/// request that was signed with it, can send that again for so long.
pub(crate) const NONCE_LIFE: Duration = Duration::from_mins(10);

/// How long the client of an allocation says nothing before it may give way to a newer one of the same participant.
/// Who uses an allocation says something at least every 15 seconds (RFC 8445 §11), of which one may be lost, and who
/// has not for 30 has no consent to send any more (RFC 7675 §5.1).
pub(crate) const SILENCE: Duration = Duration::from_secs(30);

/// How exactly that is known. A client that sends all the time is noted down so often, and not for every datagram.
pub(crate) const HEARD_AGAIN: Duration = Duration::from_secs(1);

/// How long a port is kept for the second allocation of a pair (RFC 8656 §7.2).
pub(crate) const RESERVATION: Duration = Duration::from_secs(30);

/// Ports that are kept at a time: each is a socket for which nobody has an allocation yet.
pub(crate) const RESERVATIONS: usize = 256;

/// Of these, those of one participant: one for each family of addresses.
pub(crate) const RESERVATIONS_OF_PARTICIPANT: usize = 2;

/// Buckets of sessions, and of tenants, that are kept before the first look for those that nobody needs.
pub(crate) const BUCKETS: usize = 64;

/// Buckets for answers to strangers: 8 bytes each. Two sources of ten thousand rarely share one.
pub(crate) const STRANGERS: NonZeroU64 = NonZeroU64::new(16 * 1024).unwrap();

/// After so many allocations of a shard at a time, the system gets their memory back when all are gone: some MiB. For
/// fewer it is not worth the time in which other threads wait for memory.
pub(crate) const MANY: usize = 1_024;

/// How often a shard looks for what has expired.
pub(crate) const SWEEP: Duration = Duration::from_secs(1);

/// Room for one group of datagrams: what one call may bring merged.
pub(crate) const GROUP: usize = 64 * 1024;

/// Groups that one call receives from an allocation's socket. There is one flow or few, and their datagrams
/// come merged.
pub(crate) const GROUPS_OF_PEERS: usize = 8;

/// Calls after which a socket that still has datagrams waits for the others' turn.
pub(crate) const ROUNDS: usize = 4;

/// Flows whose datagrams are gathered before they are sent: those of two full batches.
pub(crate) const SHEAVES: usize = 64;

/// Bytes that leave in one call at most: a datagram's length has 16 bits, and headers take some.
pub(crate) const SHEAF: usize = 65_000;

/// Buffers of the TURN port in the kernel: some ten milliseconds of a full gigabit.
pub(crate) const SOCKET_BUFFER: usize = 4 * 1024 * 1024;

/// Sockets whose readiness a shard learns of in one call.
pub(crate) const EVENTS: usize = 1_024;

/// Reports of lost datagrams that are read from one socket before others have their turn.
pub(crate) const REPORTS: usize = 16;
