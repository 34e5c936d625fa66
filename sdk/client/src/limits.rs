//! Every deadline and bound of the client, each with its reason.

use core::time::Duration;

/// TCP, TLS, upgrade and `hello` together; a phone on a slow radio needs about half of it.
pub const CONNECT: Duration = Duration::from_secs(15);

/// From a call to its answer, the wait for a connection included: the longest backoff and one slow try.
pub const ANSWER: Duration = Duration::from_secs(20);

/// A frame that the socket does not take for this long: the connection is dead in a way TCP hides.
pub const WRITE: Duration = Duration::from_secs(10);

/// Longest pause between two tries to connect.
pub const BACKOFF: Duration = Duration::from_secs(7);

/// First step of the pause; it grows with the square of the tries.
pub const BACKOFF_STEP: Duration = Duration::from_millis(300);

/// A connection that held this long was good: the next try comes at once.
pub const STEADY: Duration = Duration::from_secs(10);

/// Commands that wait for the connection's task; a call waits its turn when they are so many.
pub const COMMANDS: usize = 64;

/// Events that wait for the application. Full, the client lets the connection go: the mailbox keeps
/// what comes, and the client connects again when the application has caught up.
pub const EVENTS: usize = 256;

/// Message ids that are remembered, for repeats under another epoch or sequence number.
pub const REMEMBERED: usize = 1_024;

/// How long a ring that has stopped by its own clock waits for the host's word, to confirm its silence.
pub const LAST_WORD: Duration = Duration::from_mins(1);

/// How long a mail with a link is looked for: longer than most servers hold mail back, shorter than links live.
pub const MAILBOX: Duration = Duration::from_mins(15);

/// Between two looks into a mailbox: a person waits, and its server is not to be a nuisance to.
pub const MAILBOX_PACE: Duration = Duration::from_secs(5);

/// How long one look may take: connection, sign-in, and the newest mails.
pub const MAILBOX_LOOK: Duration = Duration::from_secs(30);

/// Mails that one look fetches: those of one sender to one address, so the last tries. The next look passes over those that
/// brought nothing, so that forged ones hide nothing for long.
pub const MAILBOX_NEWEST: usize = 8;

/// Words of one mail that are taken for tokens: a true mail has one, in its header and in its text.
pub const TOKENS_OF_MAIL: usize = 4;

/// Of each mail so many bytes: a template is at most 16 KiB, and headers of every relay on the way.
pub const MAIL: usize = 128 * 1024;

/// Sessions whose relay events and ends are kept until a call asks for them.
pub const SESSIONS: usize = 32;

/// Events that are kept for one session: each side sends one of the relay and one more after a new try; and the end.
pub const SESSION_EVENTS: usize = 8;

/// Largest frame read from the server.
pub const FRAME: usize = 256 * 1024;

/// First retransmission to CDX. Half of RFC 8489's 500 ms: the user waits for it.
pub const CDX_RTO: Duration = Duration::from_millis(250);

/// Requests to each port of CDX; the pauses double, so that all is over after 15 × [`CDX_RTO`].
pub const CDX_REQUESTS: u32 = 4;

/// How long the other family of addresses is waited for when one has answered: for one repeat. Many a network has none
/// of it.
pub const CDX_OTHER_FAMILY: Duration = Duration::from_millis(400);

/// First repeat of what is told through CDX; it doubles.
pub const EXCHANGE_REPEAT: Duration = Duration::from_millis(200);

/// How often it is told without an answer; the pauses add up to 6 s, and a direct path is looked for less long.
pub const EXCHANGE_REPEATS: u32 = 5;

/// Addresses that one payload names: with the largest ticket it still fits into a datagram.
pub const EXCHANGE_CANDIDATES: usize = 8;

/// Pause between two connectivity checks (RFC 8445 §14.2 recommends 50 ms; ours are few and small).
pub const CHECK_PACE: Duration = Duration::from_millis(20);

/// First repeat of a check; it doubles up to [`CHECK_REPEAT_MAX`].
pub const CHECK_REPEAT: Duration = Duration::from_millis(100);

/// Longest pause between repeats of a check: a hole that the other side opens is found this fast.
pub const CHECK_REPEAT_MAX: Duration = Duration::from_millis(400);

/// Longest pause between repeats of a check beside a path that carries: a few bytes a second.
pub const CHECK_REPEAT_BESIDE: Duration = Duration::from_secs(5);

/// Between two questions whether a path that carries still leads to the peer (RFC 7675 §5.1), give or take a fifth.
pub const CONSENT: Duration = Duration::from_secs(5);

/// A path over which the application has sent and received nothing for so long carries nothing: nobody notices that it
/// breaks, and it is asked only as often as NATs need.
pub const IDLE: Duration = Duration::from_secs(10);

/// A path that answers none of some six questions for so long is in doubt.
pub const DOUBT: Duration = Duration::from_millis(1_500);

/// How often the device's own addresses are looked at while a call runs.
pub const LOOK_AT_ADDRESSES: Duration = Duration::from_secs(2);

/// A direct path that has carried alone for so long needs no relay in reserve.
pub const RESERVE: Duration = Duration::from_secs(30);

/// A wish for the relay that comes so soon after the move to it is the same wish: both sides had it.
pub const SAME_WISH: Duration = Duration::from_secs(5);

/// How long the host is asked to take a report of the path; a policy that learns misses it, and nobody else does.
pub const REPORT: Duration = Duration::from_secs(10);

/// First pause before CDX is asked again after it has not answered, or the host could not be told; it doubles up to
/// [`LOOK_AGAIN_MAX`].
pub const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Longest such pause: a network that is back is noticed this late.
pub const LOOK_AGAIN_MAX: Duration = Duration::from_secs(16);

/// How long a relay has to say that it keeps this device's address. Longer than most round trips, of which it may take
/// several, and the path is in doubt already.
pub const LEG: Duration = Duration::from_secs(1);

/// Ports beyond the last one that are guessed of a NAT that gives out one after the other. Each costs its peer
/// a check and its repeats; between CDX's observation and the checks such a NAT gives out two or three.
pub const PREDICTED_PORTS: u16 = 4;

/// Addresses of a peer that are tried, those it was observed at included.
pub const CANDIDATES: usize = 32;

/// Sockets that are opened where the other side guesses among this NAT's ports: with [`GUESSED_PORTS`] guesses they are
/// missed once in fifty times (the birthday bound over the 64 512 ports from 1 024 on).
pub const GUESSED_SOCKETS: usize = 256;

/// Ports of the other side's NAT that are guessed; some 140 bytes each.
pub const GUESSED_PORTS: usize = 1_024;

/// Guesses, or sockets, at a time: the smallest gateways hold some thousand mappings and forward some thousand packets a
/// second.
pub const GUESSES_AT_ONCE: usize = 8;

/// Between such bursts: sockets are open after 320 ms, ports guessed after 1.3 s.
pub const GUESS_PACE: Duration = Duration::from_millis(10);

/// How long paths that were told are tried before sockets are opened: most meet by then.
pub const GUESS_SOCKETS_AFTER: Duration = Duration::from_millis(200);

/// The same before ports are guessed: the other side's sockets are open by then, if it heard of the accept within half a
/// second.
pub const GUESS_PORTS_AFTER: Duration = Duration::from_secs(1);

/// How long a direct path is tried where the verdict does not say (NAT-4).
pub const PATIENCE: Duration = Duration::from_secs(4);

/// How much longer the inviter waits than the callee, so that usually one of both asks for the relay.
pub const INVITER_GRACE: Duration = Duration::from_millis(1_500);

/// Allocation, the peer's address, checks and handshake through the relay.
pub const RELAY: Duration = Duration::from_secs(15);

/// How long a path through the relay that answers no more is looked for before the relay is asked for anew: each side may
/// be making its leg anew, or a relay has started again and knows of no allocation.
pub const RELAY_AGAIN: Duration = Duration::from_secs(6);

/// Between two tries to get other credentials of the relay, where a quarter of an hour is left.
pub const RENEW_AGAIN: Duration = Duration::from_mins(1);

/// Until the next way to a relay is tried: datagrams to it, asked again after 0.2, 0.6 and 1.4 s, are lost for good.
pub const RELAY_WAY: Duration = Duration::from_secs(3);

/// First repeat of a request to a relay; it doubles. As short as CDX's: the user waits for it.
pub const TURN_RTO: Duration = Duration::from_millis(200);

/// How often it goes out; the pauses add up to 25 s, and what is waited for has a shorter deadline of its own.
pub const TURN_REQUESTS: u32 = 7;

/// How often one request is asked anew with what its refusal brings: the nonce of a first one may be too old for the next.
pub const TURN_CHALLENGES: u32 = 3;

/// How long before its end an allocation is asked for again: every repeat of the request fits in.
pub const TURN_BEFORE_END: Duration = Duration::from_mins(1);

/// After this long a peer's channel is asked for again: a relay forgets its permission after 5 min (RFC 8656 §9).
pub const TURN_CHANNEL: Duration = Duration::from_mins(4);

/// Until a request that was refused, or not answered, is made again: an allocation that is to be kept has a minute, and a
/// peer that the relay does not let in yet may be let in when it has heard of the peer's relay.
pub const TURN_AGAIN: Duration = Duration::from_secs(2);

/// Peers of an allocation: twice the addresses of one peer that are tried, since it may get others.
pub const RELAY_PEERS: usize = 2 * CANDIDATES;

/// Bytes that wait for a connection to a relay, some hundred datagrams; full, the newest is lost, as in a network.
pub const RELAY_STREAM: usize = 256 * 1024;

/// How long an address at a relay has to follow its client: a connection, a challenge and an answer, and two repeats.
/// It is made anew otherwise, which takes longer.
pub const FOLLOW: Duration = Duration::from_secs(2);

/// Ways to a relay that are tried: UDP, TCP and TLS, over two families.
pub const RELAY_WAYS: usize = 6;

/// For the last datagrams to an allocation that is given up, and for giving it back.
pub const LAST_DATAGRAMS: Duration = Duration::from_secs(1);

/// First repeat of a handshake message; it doubles.
pub const HANDSHAKE_REPEAT: Duration = Duration::from_millis(200);

/// Longest pause between repeats of a handshake message.
pub const HANDSHAKE_REPEAT_MAX: Duration = Duration::from_secs(1);

/// Between two questions over a path that carries nothing, as long as it is not known how long its NAT keeps a mapping
/// (RFC 8445 §11), give or take a fifth: below the 30 s after which the hastiest NATs forget. Between two words that the other
/// side can open it is no less.
pub const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The same where it is known that the NAT keeps mappings for long: with the fifth, and [`DOUBT`], within the 30 s for which
/// an answer counts as consent (RFC 7675 §5.1).
pub const KEEP_ALIVE_MAX: Duration = Duration::from_secs(23);

/// How long sockets wait to find out how long a NAT keeps a mapping, in rising order. The last one, with [`KEEP_ALIVE_MAX`] two thirds
/// of it, is all that is worth knowing; the first one is two thirds more than [`CONSENT`], below which nobody goes.
pub const LIFE_STEPS: [Duration; 5] = [
    Duration::from_secs(8),
    Duration::from_secs(12),
    Duration::from_secs(18),
    Duration::from_secs(26),
    Duration::from_secs(35),
];

/// How long it counts for its network: a gateway seldom gets another software.
pub const LIFE_COUNTS: Duration = Duration::from_hours(24);

/// Networks that are remembered with it: at home, at work, on the way.
pub const NETWORKS: usize = 16;

/// Until CDX is asked again from a network from which nothing came back; it doubles up to [`CLOSED_AGAIN_MAX`].
pub const CLOSED_AGAIN: Duration = Duration::from_mins(1);

/// Longest such pause.
pub const CLOSED_AGAIN_MAX: Duration = Duration::from_mins(16);

/// Nothing heard for so long, and no question answered: the path is over.
pub const PATH_SILENCE: Duration = Duration::from_secs(50);

/// Datagrams that wait for the application, or for a relay; full, the newest is dropped, as in a network.
pub const DATAGRAMS: usize = 512;

/// Wishes of the application that wait for its call; each says the same again.
pub const WISHES: usize = 4;

/// Mappings of the lab's symmetric NAT, one socket each.
pub const NAT_MAPPINGS: usize = 64;
