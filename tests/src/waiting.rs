//! Waiting for what should happen, and giving up when it does not.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::timeout;

/// What takes longer than this does not happen.
pub const GUARD: Duration = Duration::from_secs(20);

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
        }
    })
    .await?
}
