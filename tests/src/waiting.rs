//! Waiting for what should happen, and giving up when it does not.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use switchhook_protocol::time::{Timestamp, millis};
use tokio::time::{sleep, timeout};

/// What takes longer than this does not happen.
pub const GUARD: Duration = Duration::from_mins(1);

/// Between two questions: fewer than one socket may ask (250 in a second), however long it takes.
const PACE: Duration = Duration::from_millis(10);

/// Waits for something, at most for [`GUARD`].
pub async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> Result<T> {
    timeout(GUARD, Box::pin(future)).await.with_context(|| format!("{what} did not happen"))
}

/// Asks over the network again and again until there is an answer, at most for [`GUARD`].
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    in_time(what, async {
        loop {
            if let Some(found) = ask().await? {
                return Ok(found);
            }
            sleep(PACE).await;
        }
    })
    .await?
}

/// The time, for signatures of a transit that a test is itself.
#[expect(clippy::disallowed_methods, reason = "a transit has a clock of its own")]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(millis(since))
}
