//! Every bound of this crate, each with its reason.

use std::time::Duration;

/// Jobs that may wait for the writer. At 10 000 jobs a second these are 0.8 s of work and some 16 MiB;
/// whoever comes later would wait longer than a ringing phone should.
pub const QUEUE: usize = 8_192;

/// Jobs of one tenant that may wait: half of the queue, so that one tenant's flood leaves room for others.
pub const QUEUE_OF_TENANT: usize = QUEUE / 2;

/// Jobs of one commit. Beyond 256 the rate grows little, and the first of the group waits for the last.
pub const GROUP: usize = 256;

/// Messages that a mailbox holds; more push the oldest out, and its client is told to ask for a snapshot. A
/// device that is away collects invites and cancels, a few hundred bytes to a few KiB each, which expire
/// within minutes: fewer than this.
pub const MAILBOX: u32 = 1_024;

/// Plugins' decisions kept of one session, the first: eight plans of a few users and their verdicts, with room.
pub const DECISIONS: u32 = 64;

/// Whom one identifier may block: more is a list that the tenant should keep.
pub const BLOCKED: u32 = 1_000;

/// Addresses of one profile: more is no person's.
pub const ADDRESSES: u32 = 64;

/// Texts that a node begins to send at once by one gateway, and by how many under way it begins no more: so fewer than
/// twice as many are under way, which providers take from one account. Three gateways that do not answer, whosever they
/// are, leave a quarter of the node's 256 places to others.
pub const GATEWAY_SHARE: u32 = 32;

/// The same of mails by one mail server, in the node's 64 places: mail servers take fewer connections from one client.
pub const MAIL_SERVER_SHARE: u32 = 8;

/// Parts of long texts of one gateway that wait for the rest: 256 texts of the most parts.
pub const PARTS: u32 = 2_560;

/// How long they wait: a phone that had no network in the middle has sent the rest by then, or never does.
pub const PARTS_KEPT: Duration = Duration::from_hours(3);

/// How long a job may wait until the writer begins it. Less than the patience of a client's request (10 s),
/// so that the client hears "busy" rather than nothing.
pub const WAIT_FOR_WRITER: Duration = Duration::from_secs(3);

/// How long a read may wait for a connection; the same patience.
pub const WAIT_FOR_READER: Duration = Duration::from_secs(3);

/// How long a node may wait for the connection by which it says that it lives, and as long for the answer: it can say
/// so once more before others take it for dead.
pub const BEAT: Duration = Duration::from_secs(1);

/// How long SQLite tries again while another process (a backup, `sqlite3`) holds its lock.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long PostgreSQL works at one statement, waiting for other nodes included.
pub const STATEMENT: Duration = Duration::from_secs(5);

/// How long whoever reads waits for PostgreSQL's answer. Later than the database itself gives up, and before a request
/// does, so that this is for a network that swallows its word: then the connection is given up, and no reader hangs on it.
pub const ANSWER: Duration = Duration::from_secs(6);

/// The same of a question that is asked at leisure: later than the database itself gives up, [`LEISURE`] times
/// [`STATEMENT`]. Nobody but whoever asked waits for it, and its connection meanwhile.
pub const ANSWER_AT_LEISURE: Duration = Duration::from_secs(105);

/// How long PostgreSQL may take to say whether it is there: whoever asks (a balancer) waits no longer.
pub const PING: Duration = Duration::from_secs(2);

/// Instructions of SQLite's machine for one statement that reads: seconds of work. By key it takes some hundred.
pub const INSTRUCTIONS: u32 = 100_000_000;

/// How many times as much a question may take that is asked at leisure, of all that a tenant has.
pub const LEISURE: u32 = 20;

/// How long PostgreSQL waits for the next statement of a transaction. A group takes milliseconds: a node that is
/// silent for so long has stopped. Less than [`STATEMENT`], so that who waits for its tenants gets them.
pub const SILENCE: Duration = Duration::from_secs(3);

/// How long a group may take on PostgreSQL, all in all. Later than the database itself gives up, so that this is
/// for a network that swallows its word.
pub const GROUP_TIME: Duration = Duration::from_secs(8);

/// How long the writer tries to reach the database again before a group is given up: less than
/// [`WAIT_FOR_WRITER`], so that who waits behind it is not told "busy" instead.
pub const RECONNECT: Duration = Duration::from_secs(2);

/// The first pause between two tries; each is twice as long as the one before.
pub const RECONNECT_PAUSE: Duration = Duration::from_millis(20);

/// A connection to PostgreSQL that was idle for so long is asked for a sign of life before it reads.
pub const TRUSTED_IDLE: Duration = Duration::from_secs(1);

/// Prepared statements that a connection keeps. All of ours, with room.
pub const STATEMENTS: usize = 256;

/// Pages of the write-ahead log after which it is written back: 16 MiB, some tens of milliseconds of work.
pub const CHECKPOINT_PAGES: u32 = 4_000;

/// KiB of pages that SQLite's writer keeps: what a day's calls and registrations of a busy server touch. What is not
/// here is copied from the kernel's cache, page by page.
pub const WRITER_CACHE: u32 = 64 * 1024;

/// The same for each connection that reads, of which there are about as many as cores.
pub const READER_CACHE: u32 = 8 * 1024;

/// Rows that one sweep deletes from one table, so that it holds the writer for a few milliseconds only.
pub const SWEEP: u32 = 1_000;

/// Mailboxes that begin a new epoch in one transaction: some tens of milliseconds of work.
pub const ADOPTED: u32 = 10_000;

/// How long a transit's message is answered the same, a performed effect can be looked up, and a signature, code or link
/// that is over is known as such: a week, as gateways repeat for days and mails are opened late.
pub const KEPT: Duration = Duration::from_hours(7 * 24);

/// How long a text or mail in doubt can be looked up and sent again, from when it was queued: nobody waits for it after a
/// month, and its number stays sealed no longer.
pub const DOUBT_KEPT: Duration = Duration::from_hours(30 * 24);

/// Days for which it counts how direct paths between two networks have fared: a network that was changed is
/// judged anew within a month.
pub const PATHS: u64 = 30;

/// Hours for which it counts how texts have fared: a day, as traffic has its hours.
pub const LATELY: u64 = 24;

/// Lines of log kept of each plugin: an afternoon of a talkative one.
pub const PLUGIN_LINES: u64 = 2_000;
