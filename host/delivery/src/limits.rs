//! Every bound of this crate, each with its reason.

use std::time::Duration;

use switchhook_core::policy;

/// How long a connection to a gateway or service may take: it is away, and nothing was sent.
pub(crate) const CONNECT: Duration = Duration::from_secs(3);

/// How long a gateway may take to answer. Aggregators hand a text on within a second or two; whoever
/// waits for a code has put the phone down by then.
pub(crate) const ANSWER: Duration = Duration::from_secs(10);

/// Redirects that a request of a plugin follows: one for a moved service, one for its load balancer.
pub const REDIRECTS: usize = 2;

/// Largest answer to a request of a plugin, in bytes: as large as a request may be.
pub const BODY: usize = policy::MAX_BODY;

/// Connections to one service that are kept for the next request.
pub(crate) const IDLE_PER_HOST: usize = 16;
