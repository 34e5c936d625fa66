//! The root keys are rotated while relay hosts run.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use serde_json::Value;
use switchhook_client::relay::Allocation;
use switchhook_protocol::relay::RelayCredentials;
use switchhook_server::ROOT_KEYS;
use switchhook_tests::{
    phone::open,
    waiting::{in_time, until},
};

use super::{Stage, relay_of};

/// Hosts follow with their next word: what was given out under the old key serves until that key is taken away, and
/// what is given out under the new one serves at once. No relay host starts again.
#[tokio::test]
async fn rel_3_a_rotated_key_reaches_a_relay_host_apart_and_the_old_one_counts_until_it_is_removed()
-> Result<()> {
    let mut stage = Stage::start().await?;
    let old = relay_of(&stage.agree().await?.inviter.1)?.clone();

    stage.start_again_with_keys(|keys| format!("{}\n{keys}", "5a".repeat(32))).await?;
    let new = relay_of(&stage.agree().await?.inviter.1)?.clone();
    assert_eq!((old.server, new.server), (stage.eu.relay, stage.eu.relay));
    assert_ne!(sealed_under(&old), sealed_under(&new));
    for credentials in [&old, &new] {
        in_time("the allocation", Allocation::open(&*open(), credentials)).await??;
    }

    stage.start_again_with_keys(|keys| keys.lines().take(1).collect()).await?;
    let refused = in_time("the answer", Allocation::open(&*open(), &old)).await?;
    assert!(refused.is_err(), "{refused:?}");
    in_time("the allocation", Allocation::open(&*open(), &new)).await??;
    Ok(())
}

/// Format version and key id, as far as their text begins no other byte.
fn sealed_under(credentials: &RelayCredentials) -> Option<&str> {
    credentials.username.get(..6)
}

impl Stage {
    /// The server starts again with other root keys, and both relay hosts have taken in what it then told them.
    async fn start_again_with_keys(&mut self, change: impl FnOnce(&str) -> String) -> Result<()> {
        self.host.stop().await;
        write(&self.host.data().join(ROOT_KEYS), change)?;
        self.host.start_again().await?;
        for id in [&self.eu.id, &self.us.id] {
            // Who is heard twice has had an answer to what it said first.
            let mut last = self.seen_at(id).await?;
            for word in ["its first word", "its next word"] {
                last = until(word, async || {
                    let seen = self.seen_at(id).await?;
                    Ok((seen > last).then_some(seen))
                })
                .await?;
            }
        }
        Ok(())
    }

    async fn seen_at(&self, host: &str) -> Result<u64> {
        let shown = self.host.admin.relay_host(host).await?.context("no such host")?;
        shown.get("seen_at").and_then(Value::as_u64).context("no time")
    }
}

fn write(path: &Path, change: impl FnOnce(&str) -> String) -> Result<()> {
    let keys = fs::read_to_string(path)?;
    // In place, so that it stays its owner's alone.
    Ok(fs::write(path, change(&keys))?)
}
