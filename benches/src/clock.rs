//! The one place that asks the system for the time.

use std::time::{Duration, Instant, SystemTime};

use switchhook_protocol::time::{Timestamp, millis};

/// Now, for measuring.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Now, for rows.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) fn timestamp() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(millis(since))
}

/// Microseconds with their fraction.
pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
