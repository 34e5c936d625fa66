//! Every bound of the server, each with its reason.

use std::time::Duration;

use crate::rates::Rate;

/// How long a socket may be silent before `hello`: a handset on a poor network needs two round trips.
pub(crate) const HELLO: Duration = Duration::from_secs(10);

/// Sockets that may be before `hello` at once: a storm of reconnects fits, a flood of strangers does not
/// take the memory of those who are known.
pub(crate) const UNKNOWN_SOCKETS: usize = 4_096;

/// How long a TLS handshake may take: three round trips on a poor network, with a lost packet.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(10);

/// TLS handshakes that may be unfinished at once: two seconds of what one core computes, so that those
/// who wait are served within their patience, at 20 to 40 KiB each.
pub(crate) const UNFINISHED_HANDSHAKES: usize = 4_096;

/// Of these with one address: strangers at one place do not keep out everybody else's.
pub(crate) const UNFINISHED_HANDSHAKES_OF_ADDRESS: u32 = 512;

/// Keys in `root.keys`: the present one, the next, and those of half a year of monthly rotations. Each costs every
/// device that is connected a subscription on the bus.
pub(crate) const ROOT_KEYS: usize = 8;

/// Certificates of a tenant's authority: the present one, the next, and some of former companies.
pub(crate) const AUTHORITY_CERTIFICATES: usize = 8;

/// How often the files of the certificate are looked at: renewals are days early.
pub(crate) const LOOK_AT_CERTIFICATE: Duration = Duration::from_secs(5);

/// Of these from one address: strangers at one place do not keep out everybody else's.
pub(crate) const UNKNOWN_SOCKETS_OF_ADDRESS: u32 = 512;

/// Connections of one address that are no WebSocket, or not yet, for each socket that it may have: whoever is refused
/// one hears why.
pub(crate) const CONNECTIONS_PER_SOCKET: u32 = 2;

/// When whoever was refused a connection may try again: others have left by then, or not.
pub(crate) const CONNECTION_WAIT: Duration = Duration::from_secs(10);

/// Requests on one socket: all the rings and candidates of a person's day at once, then what a program
/// that is no person's may ask, which is a small share of what the server does.
pub(crate) const REQUESTS_OF_SOCKET: Rate = Rate { burst: 512, every: Duration::from_millis(4) };

/// Requests of one socket that wait until a plugin has answered those before them: more than a person begins within a
/// plugin's deadline.
pub(crate) const ASKING: usize = 4;

/// How often the server pings: below the 30 s after which many NATs forget a TCP mapping's peer.
pub(crate) const PING: Duration = Duration::from_secs(25);

/// How long the answer to a request that may be sent again is kept: longer than a client tries to come back, and as
/// long as its session's news.
pub(crate) const KEPT_ANSWER: Duration = Duration::from_mins(5);

/// Silent for longer than two pings, a connection is lost.
pub(crate) const SILENCE: Duration = Duration::from_secs(55);

/// How long one frame may take to be written; a slower reader finds its messages in its mailbox.
pub(crate) const WRITE: Duration = Duration::from_secs(5);

/// How long a request may take; longer than storage's own patience, shorter than a client's.
pub(crate) const REQUEST: Duration = Duration::from_secs(8);

/// How long the body of a device's request may take to come: 32 KiB over a poor line.
pub(crate) const BODY: Duration = Duration::from_secs(10);

/// Signed requests of one device: a few calls at once, then more than a person taps.
pub(crate) const REQUESTS_OF_DEVICE: Rate = Rate { burst: 64, every: Duration::from_millis(500) };

/// Signed requests of one tenant at one node. A nonce is remembered until its signature is over, three minutes
/// later at most, and a sweep has come by: so these are some 100 000 nonces.
pub(crate) const REQUESTS_OF_TENANT: Rate = Rate { burst: 5_000, every: Duration::from_millis(2) };

/// Events read from a mailbox at once.
pub(crate) const DELIVERY_BATCH: u16 = 32;

/// Live messages that wait for one socket; what is over is dropped, as live messages may be.
pub(crate) const LIVE_QUEUE: usize = 16;

/// Largest body of an HTTP request, in bytes: a text message with room.
pub(crate) const HTTP_BODY: usize = 64 * 1024;

/// Pause after a connection that could not be taken: out of file descriptors, others must end first.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Read and write buffers of an idle socket, in bytes. The defaults cost 134 KiB a socket.
pub(crate) const SOCKET_BUFFER: usize = 1024;

/// Buffer of hyper for the request line and headers, in bytes; its smallest allowed.
pub(crate) const HTTP_BUFFER: usize = 8192;

/// Texts on their way to gateways at once: with some 20 ms for each, and four commits before and after it, some thousands
/// a second.
pub(crate) const TEXTS_IN_FLIGHT: usize = 256;

/// Mails on their way to mail servers at once, and requests on theirs to services.
pub(crate) const EFFECTS_IN_FLIGHT: usize = 64;

/// How long a service may take to answer a method, each time it is asked: a person waits, with a text
/// already on the way.
pub(crate) const FETCH: Duration = Duration::from_secs(5);

/// Pauses before each time that a service is asked: a restart of the service is over by the third.
pub(crate) const FETCH_PAUSES: [Duration; 3] =
    [Duration::ZERO, Duration::from_millis(500), Duration::from_secs(3)];

/// How long a router or NAT policy may wait for a service, over all rounds: somebody waits for the
/// ringing.
pub(crate) const ASK: Duration = Duration::from_secs(2);

/// Rounds of requests of a router or NAT policy in one decision.
pub(crate) const ASK_ROUNDS: u8 = 2;

/// Longest address of a webhook.
pub(crate) const WEBHOOK_URL: usize = 2048;

/// Shortest secret of a webhook: what nobody guesses.
pub(crate) const WEBHOOK_SECRET_LEAST: usize = 16;

/// Plugins kept ready beside the active ones: a start loads each once for all tenants that use it.
pub(crate) const READY_PLUGINS: usize = 256;

/// How long a version that did not load waits at first: a moment in which the machine was busy is over by then.
pub(crate) const LOAD_PAUSE: Duration = Duration::from_secs(1);

/// And at most: what never loads is logged each time.
pub(crate) const LOAD_LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// Steps of one attempt: a person's tries with room; a method that asks itself for ever ends here.
pub(crate) const STEPS_OF_ATTEMPT: u64 = 64;

/// Texts that one device asks for by typed numbers: a family's phones, and not a list of numbers.
pub(crate) const TEXTS_OF_DEVICE: Rate = Rate { burst: 16, every: Duration::from_mins(1) };

/// Texts that are asked for by typed numbers from behind one address: an office, or a carrier's NAT on the evening of a
/// launch. Devices cost nothing, addresses do.
pub(crate) const TEXTS_OF_ADDRESS: Rate = Rate { burst: 240, every: Duration::from_secs(10) };

/// The same of one tenant at one node: a launch's first day fits, some 86 000 a day after that. Beyond, somebody drives up
/// its bill.
pub(crate) const TEXTS_OF_TENANT: Rate = Rate { burst: 50_000, every: Duration::from_secs(1) };

/// Texts that are asked for to numbers which differ in the last three digits alone: whoever earns by the
/// texts that others pay for owns a block.
pub(crate) const TEXTS_TO_BLOCK: Rate = Rate { burst: 100, every: Duration::from_secs(5) };

/// Texts to one number: a person who tries again and again has room, a stranger's bill has not.
pub(crate) const TEXTS_TO_NUMBER: Rate = Rate { burst: 8, every: Duration::from_secs(30) };

/// The same in a day, whoever types it: a family's devices in one evening, then one an hour. Strangers with a device each
/// would otherwise wake somebody all night, at the tenant's cost.
pub(crate) const TEXTS_TO_NUMBER_BY_DAY: Rate = Rate { burst: 20, every: Duration::from_hours(1) };

/// The first text to a number that somebody behind an address asks for in a day counts apart from the others.
pub(crate) const NEWCOMER: Rate = Rate { burst: 1, every: Duration::from_hours(24) };

/// These, to one number: as many as of all others in a day. Who would keep an owner out by typing takes an address for each.
pub(crate) const NEWCOMERS_TO_NUMBER: Rate = Rate { burst: 20, every: Duration::from_hours(1) };

/// Buckets of each rate that counts for a day: two numbers, or users, that share one seldom want much on one day, also at
/// ten million texts a day. 8 MiB if all are used.
pub(crate) const BUCKETS_OF_A_DAY: usize = 1 << 20;

/// Mails that one device asks for: a person's addresses, some of them mistyped.
pub(crate) const MAILS_OF_DEVICE: Rate = Rate { burst: 10, every: Duration::from_mins(2) };

/// Mails to one address, whoever asks for them: a person who looks in the wrong folder has room, and nobody's mailbox
/// is filled by strangers.
pub(crate) const MAILS_TO_ADDRESS: Rate = Rate { burst: 5, every: Duration::from_mins(5) };

/// Mails of one tenant at one node: a launch's first day fits, some 5 000 a day after that. Beyond, whoever drives it
/// costs the tenant its name with other mail servers.
pub(crate) const MAILS_OF_TENANT: Rate = Rate { burst: 10_000, every: Duration::from_secs(17) };

/// Mails that the sandbox keeps: an afternoon on a laptop.
pub(crate) const SANDBOX_MAILS: usize = 1_000;

/// Recipients of one mail to the sandbox: the host's mails have one.
pub(crate) const SANDBOX_RECIPIENTS: usize = 16;

/// Bytes of one conversation with the sandbox's mail server: the largest mail, with room.
pub(crate) const SANDBOX_MAIL: u64 = 256 * 1024;

/// How long such a conversation may take: longer than the host waits for an answer.
pub(crate) const SANDBOX_CONVERSATION: Duration = Duration::from_mins(2);

/// Pauses before each time that a mail which surely was not taken is offered: servers that restart, or have too much
/// to do, are back by the third.
pub(crate) const MAIL_PAUSES: [Duration; 3] =
    [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(5)];

/// How often gateways are looked at for what other nodes changed.
pub(crate) const LOOK_AT_GATEWAYS: Duration = Duration::from_secs(5);

/// Step of time within which, and within the next, a text that an SMSC hands in a second time is the same: SMSCs try
/// again after a minute or two, and so does a person who got no answer.
pub(crate) const HANDED_IN: Duration = Duration::from_mins(2);

/// How often a text that is the same is heard while each answer to it fails: by then its gateway is broken, and the SMSC is
/// told to try later.
pub(crate) const HEARD_AGAIN: u8 = 4;

/// Pauses before each look for the text of a receipt, which may come before the gateway's own answer has
/// been noted: a commit is over by the third.
pub(crate) const RECEIPT_PAUSES: [Duration; 3] =
    [Duration::ZERO, Duration::from_millis(100), Duration::from_secs(2)];

/// Timers looked at at once: so many of a tenant whose router is slow may be late before others are not seen.
pub(crate) const TIMERS: u32 = 4_096;

/// Timers fired side by side, of all tenants.
pub(crate) const TIMERS_AT_ONCE: usize = 256;

/// Those of one tenant: a router that asks a slow service holds up its own tenant's at most.
pub(crate) const TIMERS_OF_TENANT: usize = 16;

/// How long a timer that could not be fired waits at first: a hiccup of the database is over by then.
pub(crate) const TIMER_PAUSE: Duration = Duration::from_millis(100);

/// And at most: somebody waits at the end of it.
pub(crate) const TIMER_LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How often workers look by themselves, should a hint have been lost.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// How often a node looks for what the others did: less than the 2.5 seconds that a ring may be late.
pub(crate) const LOOK_AMONG_NODES: Duration = Duration::from_secs(1);

/// How much further back than its last look it looks for messages that were stored: whoever stored one was at most
/// so long about it.
pub(crate) const LATELY: Duration = Duration::from_secs(6);

/// How long other nodes may take to say whether a device is connected there; somebody waits for the ringing.
pub(crate) const ASK_NODES: Duration = Duration::from_millis(150);

/// How long another node may take to say what it has in memory alone: a person waits who asks why it did not ring.
pub(crate) const ASK_NODE: Duration = Duration::from_secs(1);

/// When a new connection looks again: by then every part of the bus knows of it.
pub(crate) const LOOK_AFTER_ENTERING: Duration = Duration::from_millis(250);

/// Connections that a node which drains ends in a second: the others take as many in.
pub(crate) const DRAINED_PER_SECOND: u32 = 2_000;

/// The longest that connections are ended one after the other: the rest of [`DRAIN`] is for what they do.
pub(crate) const DRAIN_CONNECTIONS: Duration = Duration::from_secs(7);

/// Participants looked at each time: those of all nodes stand among them until these mark them, and whoever is not
/// looked at is not marked.
pub(crate) const UNSEEN: u32 = 65_536;

/// Rings, and running sessions, of one snapshot: more than a person can have.
pub(crate) const SNAPSHOT: u32 = 32;

/// Sessions that a device joins late at once: the same.
pub(crate) const LATE: u32 = SNAPSHOT;

/// How often expired rows are swept.
pub(crate) const SWEEP: Duration = Duration::from_secs(30);

/// The pause before the next portion where a sweep has left something: some 10 000 rows of each kind a second,
/// more than come, and the writer is others' for most of the time.
pub(crate) const SWEEP_AGAIN: Duration = Duration::from_millis(100);

/// How long shutdown waits for what has begun.
pub(crate) const DRAIN: Duration = Duration::from_secs(10);

/// Decisions kept for the timeline, over all tenants.
pub(crate) const DECISIONS: usize = 4_096;

/// Refused invites that a node remembers of one tenant: those of the last minutes, of a person who asks why. All of them
/// fit into one message of the bus (1 MiB), also with the longest identifiers.
pub(crate) const REFUSED_INVITES_OF_TENANT: usize = 64;

/// The same over all tenants, at a kilobyte each.
pub(crate) const REFUSED_INVITES: usize = 4_096;

/// Of the invited of one of these: as many as an invite may have.
pub(crate) const REFUSED_INVITED: usize = 16;

/// How long they are shown: as long as sessions are.
pub(crate) const REFUSED_KEPT: Duration = Duration::from_hours(24);

/// How often a step is asked again when its attempt changed under it. Each lost try is a step of the same
/// attempt that somebody else committed: five texts of one device at once, and the outcomes of their answers.
pub(crate) const STEP_TRIES: u8 = 10;

/// How long an upload may take: 32 MiB over a poor line.
pub(crate) const UPLOAD: Duration = Duration::from_mins(2);

/// How often it is looked whether who is relayed still takes part: what a relayed packet of somebody who has left
/// may cost is little.
pub(crate) const LOOK_AT_RELAYED: Duration = Duration::from_secs(5);

/// Between two looks at least: many leave at once when a party ends.
pub(crate) const LOOK_AT_RELAYED_AGAIN: Duration = Duration::from_millis(200);

/// Participants that are asked for in one statement.
pub(crate) const RELAYED: usize = 1_000;

/// Participants that a relay host apart asks for in one request: they fit into [`HTTP_BODY`] with the longest ids.
pub(crate) const RELAYED_TOLD: usize = 200;

/// How long a relay host apart waits for a node's answer: the next beat is due long before.
pub(crate) const RELAY_LINK: Duration = Duration::from_secs(5);

/// Bytes of such an answer: keys and addresses of all relay hosts take some thousands, and of those asked about no more
/// than were asked.
pub(crate) const RELAY_LINK_ANSWER: usize = HTTP_BODY;

/// Longest pause of a relay host apart between two tries to reach a node; shorter than its lease, so that it is
/// chosen again soon after the nodes are back.
pub(crate) const RELAY_LINK_PAUSE: Duration = Duration::from_secs(8);

/// Connections at a time to a relay host's port for operators: a balancer, a collector of metrics, somebody who looks.
pub(crate) const WATCHERS: usize = 16;

/// Messages that are handed to a connection beside its mailbox: a call has one or two at a time. They are in memory
/// until the connection is done with what it writes.
pub(crate) const HANDED_ON: usize = 4;

/// Invites of a node on their way from request to commit. They wait for each other at the database: with more of
/// them the answer comes no sooner for anybody, and with all that come when there are too many, too late for all.
pub(crate) const INVITES: u32 = 512;

/// Of these for one tenant: its flood leaves a quarter to others.
pub(crate) const INVITES_OF_TENANT: u32 = INVITES / 4 * 3;

/// How long whoever is refused for too much work waits: this, and up to as long again, so that not all come back
/// at once.
pub(crate) const OVERLOADED: Duration = Duration::from_secs(1);

/// How long a push token counts: a device that comes within it gets another, one that has lain in a drawer for longer
/// proves its numbers anew only after it has.
pub(crate) const PUSH_TOKEN: Duration = Duration::from_hours(24 * 90);

/// Bytes of compiled code kept on disk, of all tenants: some hundred components that bring their language, or several
/// ten thousand in Rust. Beyond that the oldest is compiled anew at a start that needs it.
pub(crate) const COMPILED: u64 = 8 << 30;

/// Uploads that are read and looked at once: each may hold 32 MiB. How many are compiled at once is the
/// runtime's to say.
pub(crate) const UPLOADS: u32 = 8;

/// Of these for one tenant: an upload that trickles in keeps nobody else's waiting.
pub(crate) const UPLOADS_OF_TENANT: u32 = 2;

/// Versions of one plugin: years of weekly releases.
pub(crate) const PLUGIN_VERSIONS: u32 = 1_000;

/// Largest configuration of a plugin, in bytes: it is handed to every call.
pub(crate) const CONFIGURATION: usize = 16 * 1024;

/// Most bytes of key-value pairs that a plugin can be granted: they are read before each of its calls.
pub(crate) const KEY_VALUE: u64 = 256 * 1024;

/// Most requests a minute that a plugin can be granted.
pub(crate) const FETCHES_PER_MINUTE: u32 = 600;

/// Plugins that are counted each by itself.
pub(crate) const COUNTED_PLUGINS: usize = 10_000;

/// Lines of plugins that wait to be stored, over all tenants: 16 MiB at the longest.
pub(crate) const WAITING_LINES: usize = 32 * 1024;

/// Lines of one plugin that wait to be stored: eight of the noisiest do not use up everybody's room.
pub(crate) const WAITING_LINES_OF_PLUGIN: usize = 4 * 1024;

/// What Argon2id costs: memory in KiB, passes, lanes. The first of OWASP's recommendations that fits phones' patience:
/// some 30 ms of a core.
pub(crate) const PASSWORD_COST: (u32, u32, u32) = (19 * 1024, 2, 1);

/// Passwords hashed or compared at once: 38 MiB, and no more than two cores.
pub(crate) const PASSWORDS_AT_ONCE: usize = 2;

/// How long a sign-in waits for its place: some 130 are before it by then, and the request has time for the rest.
pub(crate) const PASSWORD_WAIT: Duration = Duration::from_secs(2);

/// Passwords of one request: a method that has them compared for ever ends here.
pub(crate) const PASSWORDS_OF_REQUEST: u8 = 3;

/// Passwords that a device tries for a user whose credentials it has: a person who mistypes.
pub(crate) const GUESSES_OF_KNOWN_DEVICE: Rate = Rate { burst: 10, every: Duration::from_secs(30) };

/// Passwords that any other device tries, for whomever.
pub(crate) const GUESSES_OF_DEVICE: Rate = Rate { burst: 8, every: Duration::from_mins(1) };

/// Of these the first in a day from behind one address, at one user, count apart: a person who mistypes on a new device.
pub(crate) const GUESSES_OF_NEWCOMER: Rate = Rate { burst: 3, every: Duration::from_hours(8) };

/// Passwords that all such devices together try for one user: some 3 000 a day, and as many again that count apart. The
/// user's own devices are not among them, so that strangers lock out nobody who has signed in before; and a new device
/// only by guessing from an address of their own for every few.
pub(crate) const GUESSES_AT_USER: Rate = Rate { burst: 60, every: Duration::from_secs(30) };

/// Shortest password, in characters (NIST SP 800-63B).
pub(crate) const PASSWORD_LEAST: usize = 8;

/// Longest password, in bytes: that of a field.
pub(crate) const PASSWORD: usize = 512;

/// Addresses that the directory knows of one user.
pub(crate) const ADDRESSES_OF_USER: usize = 32;

/// How long the end of an attempt's time waits that could not be told: as long as a timer at most.
pub(crate) const DEADLINE_PAUSE: Duration = Duration::from_secs(10);

/// Entries of the outbox that are opened at once where one person's are looked for: 16 MiB with the largest requests of
/// methods, and some thousand texts.
pub(crate) const OUTBOX_PAGE: u32 = 256;

/// Entries of one page of a list.
pub(crate) const PAGE: u32 = 500;

/// How long a request for lines of a log may wait for one.
pub(crate) const LONG_POLL: Duration = Duration::from_secs(20);

/// Longest secret of a plugin, in bytes: a token of a service, not a file.
pub(crate) const SECRET: usize = 4 * 1024;

/// Secrets of one plugin.
pub(crate) const SECRETS: usize = 32;
