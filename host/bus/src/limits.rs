//! Every bound of this crate, each with its reason.

use std::time::Duration;

/// How long a start waits for the bus. Without it a node still does everything, later.
pub const CONNECT: Duration = Duration::from_secs(1);

/// How long one server may take to answer a connection: servers are near, and another one waits.
pub const CONNECT_ONE: Duration = Duration::from_millis(500);

/// How often a server is asked for a sign of life; the client gives one up that misses three. With the time to reach
/// another one less than the 2.5 seconds that a ring may be late.
pub const PING: Duration = Duration::from_millis(400);

/// Pauses between tries to reconnect: so many milliseconds each time, at most [`LONGEST_PAUSE`].
pub const PAUSE_STEP: u64 = 20;

/// The longest pause between two tries.
pub const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// How long a subscription may wait until the bus knows of it. A bus that is away learns of it later.
pub const SUBSCRIBE: Duration = Duration::from_millis(200);

/// Messages that wait to be published: a second of a busy node's. What is more is dropped: they are hints.
pub const WAITING: usize = 16 * 1024;

/// Messages that wait for one subscriber. A subscriber is a device or a node; it looks for itself afterwards.
pub const WAITING_OF_SUBSCRIBER: usize = 256;
