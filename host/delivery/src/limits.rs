//! Every bound of this crate, each with its reason.

use std::time::Duration;

use switchhook_core::policy;

/// How long a connection to a gateway or service may take: it is away, and nothing was sent.
pub(crate) const CONNECT: Duration = Duration::from_secs(3);

/// How long a gateway may take to answer. Aggregators hand a text on within a second or two; whoever
/// waits for a code has put the phone down by then.
pub(crate) const ANSWER: Duration = Duration::from_secs(10);

/// How long a mail server may take until it waits for the message: connection, TLS, sign-in and four commands. Nothing
/// is sent by then. Some greet late on purpose.
pub(crate) const MAIL_BEGUN: Duration = Duration::from_secs(20);

/// How long it may take to say that it has taken the message; RFC 5321 (4.5.3.2.6) asks for ten minutes, of which
/// servers for outgoing mail need a few seconds, and those that judge a mail first up to one minute. A mail that takes
/// longer is in doubt. The operator's settings may say otherwise.
pub const MAIL_TAKEN: Duration = Duration::from_mins(1);

/// How long it may take to say goodbye.
pub(crate) const MAIL_GOODBYE: Duration = Duration::from_secs(2);

/// Redirects that a request of a plugin follows: one for a moved service, one for its load balancer.
pub const REDIRECTS: usize = 2;

/// Largest answer to a request of a plugin, in bytes: as large as a request may be.
pub const BODY: usize = policy::MAX_BODY;

/// Connections to one service that are kept for the next request.
pub(crate) const IDLE_PER_HOST: usize = 16;

/// How long a connection to an SMSC, its TLS and the bind may take, each.
pub(crate) const SMPP_STEP: Duration = Duration::from_secs(10);

/// Silence after which an SMSC is asked whether it is there: below what firewalls forget a connection after.
pub(crate) const SMPP_ENQUIRE: Duration = Duration::from_secs(30);

/// Silence after which it is not: one question was not answered.
pub(crate) const SMPP_SILENCE: Duration = Duration::from_secs(45);

/// How often deadlines of a bound connection are looked at.
pub(crate) const SMPP_TICK: Duration = Duration::from_secs(1);

/// How long a text waits for the connection to come back; whoever waits for a code has asked again by then.
pub(crate) const SMPP_BOUND: Duration = Duration::from_secs(10);

/// How long a part may wait for its place in the window, and then for its answer: as long as for a connection, and
/// as long as any gateway's answer, with the tick that notices.
pub(crate) const SMPP_SUBMIT: Duration = Duration::from_secs(22);

/// Pauses between tries to bind: the first after a hiccup, the longest while an SMSC is away. Accounts are
/// locked by those that try too often.
pub(crate) const SMPP_PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// A bind that held so long begins with the shortest pause again.
pub(crate) const SMPP_STEADY: Duration = Duration::from_mins(1);

/// How often a part that the SMSC has no room for is offered, and the pause before each further time.
pub(crate) const SMPP_THROTTLED: (usize, Duration) = (4, Duration::from_secs(1));

/// Texts that wait for a place in the window of an SMSC: what one outbox worker has in flight.
pub(crate) const SMPP_WAITING: usize = 64;

/// Messages of an SMSC that are being taken: more are answered "later".
pub const SMPP_HEARD: usize = 64;

/// Largest PDU, in bytes: a payload of 64 parts of a message, as large as a request.
pub(crate) const SMPP_PDU: usize = 64 * 1024;

/// Most bytes of a part, its header included: what `short_message` holds (SMPP 3.4, 5.2.22).
pub(crate) const SMPP_PART: usize = 254;

/// Most parts of one message that a device sends.
pub(crate) const SMPP_PARTS: u8 = 10;
