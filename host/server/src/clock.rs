//! The one place that asks the system for the time.

use std::time::SystemTime;

use switchhook_protocol::time::{Timestamp, millis};

/// Now, for whatever leaves the process.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(millis(since))
}
