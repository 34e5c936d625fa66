//! Every bound of this crate, each with its reason.

use std::time::Duration;

/// How long a connection to a gateway may take: the gateway is away, and the text was not sent.
pub(crate) const CONNECT: Duration = Duration::from_secs(3);

/// How long a gateway may take to answer. Aggregators hand a text on within a second or two; whoever
/// waits for a code has put the phone down by then.
pub(crate) const ANSWER: Duration = Duration::from_secs(10);
