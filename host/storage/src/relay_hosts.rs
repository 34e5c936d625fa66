//! Relay hosts (REL-1). They are the operator's: every tenant's sessions may use each of them.
//!
//! A host's beat takes no turn with the transactions of tenants, like that of a node: whoever waits behind a slow one
//! is alive. What the operator changes is a transaction, with the note of who did.

use switchhook_core::relay_host::{MAX_HOSTS, REACHED, RelayHost, Said};
use switchhook_protocol::{
    id::RelayHostId,
    time::{self, Timestamp},
};

use crate::{
    audit::AuditEntry,
    cells::{Cells, millis},
    dialect::{Query, Row},
    error::StorageError,
    lifecycle::Storage,
    transaction::Transaction,
};

const ALL: &str = "SELECT host, built_in, region, near, addresses, capacity, held, leaving, drain, entered_at, \
     knows_until, seen_at FROM relay_hosts WHERE host IN \
         (SELECT host FROM relay_hosts ORDER BY seen_at DESC, host LIMIT CAST($1 AS BIGINT)) ORDER BY host";
/// One that has moved, or was not seen for long, enters anew: the others have to hear of its addresses.
const BEAT: &str = "INSERT INTO relay_hosts (host, built_in, region, near, addresses, capacity, held, leaving, \
         drain, entered_at, knows_until, seen_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9, $10, $9) \
     ON CONFLICT (host) DO UPDATE SET built_in = excluded.built_in, region = excluded.region, \
         near = excluded.near, addresses = excluded.addresses, capacity = excluded.capacity, \
         held = excluded.held, leaving = excluded.leaving, knows_until = excluded.knows_until, \
         seen_at = excluded.seen_at, entered_at = CASE WHEN relay_hosts.addresses = excluded.addresses \
             AND relay_hosts.seen_at >= $11 THEN relay_hosts.entered_at ELSE excluded.entered_at END";
/// Its token counts no more, so that it was removed.
const FORGET_REMOVED: &str = "DELETE FROM relay_hosts WHERE host = $1 AND built_in = 0 AND NOT EXISTS \
     (SELECT 1 FROM admin_tokens WHERE relay_host = $1 AND revoked_at IS NULL)";
const DRAIN: &str = "UPDATE relay_hosts SET drain = $2 WHERE host = $1";
const REMOVE: &str = "DELETE FROM relay_hosts WHERE host = $1";
const REVOKE_TOKENS: &str =
    "UPDATE admin_tokens SET revoked_at = $2 WHERE relay_host = $1 AND revoked_at IS NULL";
const FORGET: &str = "DELETE FROM relay_hosts WHERE built_in = 1 AND seen_at < $1";

/// The relay hosts.
#[derive(Debug)]
pub struct RelayHosts<'a>(&'a Storage);

impl Storage {
    /// The relay hosts.
    pub const fn relay_hosts(&self) -> RelayHosts<'_> {
        RelayHosts(self)
    }
}

impl RelayHosts<'_> {
    /// All, dead ones too, in the order of their ids; of more than [`MAX_HOSTS`] those that were seen last, so that dead
    /// ones hide none that lives.
    pub async fn all(&self) -> Result<Vec<RelayHost>, StorageError> {
        self.0.all(Query::from(ALL).bind(MAX_HOSTS), decode).await
    }

    /// A host lives: it enters, or says again where it is.
    pub async fn beat(
        &self,
        (host, built_in): (&RelayHostId, bool),
        said: &Said,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let reached_since = now.as_millis().saturating_sub(time::millis(REACHED));
        let beat = Query::from(BEAT)
            .bind(host.as_str())
            .bind(u32::from(built_in))
            .bind(said.region.as_str())
            .bind(serde_json::to_string(&said.near).unwrap_or_default())
            .bind(serde_json::to_string(&said.addresses).unwrap_or_default())
            .bind(said.capacity)
            .bind(said.held)
            .bind(u32::from(said.leaving))
            .bind(millis(now))
            .bind(millis(said.knows_until))
            .bind(millis(Timestamp::from_millis(reached_since)));
        if self.0.is_shared() {
            return Ok(self.0.readers().execute_apart(beat).await?);
        }
        self.0
            .run("relay-host-beat", async move |tx: &mut Transaction<'_>| tx.write(beat).await.map(drop))
            .await
    }

    /// Forgets a host without a token that counts.
    ///
    /// To be called after a beat that came with a token: [`Self::remove`] may have come between, and the beat has
    /// brought the host back. Where the beat was later this finds the token revoked, else there is nothing to do.
    pub async fn forget_removed(&self, host: &RelayHostId) -> Result<(), StorageError> {
        let forget = Query::from(FORGET_REMOVED).bind(host.as_str());
        if self.0.is_shared() {
            return Ok(self.0.readers().execute_apart(forget).await?);
        }
        self.0
            .run("relay-host-forget-removed", async move |tx: &mut Transaction<'_>| {
                tx.write(forget).await.map(drop)
            })
            .await
    }

    /// Sends nobody there any more, or again; says whether there is such a host.
    pub async fn drain(
        &self,
        host: &RelayHostId,
        drain: bool,
        noted: AuditEntry,
    ) -> Result<bool, StorageError> {
        let change = Query::from(DRAIN).bind(host.as_str()).bind(u32::from(drain));
        self.0.run("relay-host-drain", changed([change], noted)).await
    }

    /// Forgets a host and lets its tokens count no more; says whether there was one, or a token of one.
    pub async fn remove(&self, host: &RelayHostId, noted: AuditEntry) -> Result<bool, StorageError> {
        let revoke = Query::from(REVOKE_TOKENS).bind(host.as_str()).bind(millis(noted.at));
        let remove = Query::from(REMOVE).bind(host.as_str());
        self.0.run("relay-host-remove", changed([revoke, remove], noted)).await
    }

    /// A built-in host ends with its node.
    pub async fn leave(&self, host: &RelayHostId) -> Result<(), StorageError> {
        Ok(self.0.readers().execute_apart(Query::from(REMOVE).bind(host.as_str())).await?)
    }

    /// Forgets the built-in ones that were not seen since then: their nodes are gone.
    pub async fn forget_built_in(&self, since: Timestamp) -> Result<(), StorageError> {
        let forget = Query::from(FORGET).bind(millis(since));
        self.0
            .run("relay-host-forget", async move |tx: &mut Transaction<'_>| tx.write(forget).await.map(drop))
            .await
    }
}

/// Notes a change, if there was anything to change.
fn changed<const N: usize>(
    changes: [Query; N],
    noted: AuditEntry,
) -> impl AsyncFnOnce(&mut Transaction<'_>) -> Result<bool, StorageError> + Send + 'static {
    async move |tx: &mut Transaction<'_>| {
        let mut any = false;
        for change in changes {
            any |= tx.write(change).await? > 0;
        }
        if any {
            tx.operator_audit(&noted).await?;
        }
        Ok(any)
    }
}

fn decode(row: &Row) -> Result<RelayHost, StorageError> {
    let mut cells = Cells::of("relay_hosts", row);
    let (id, built_in, region) = (cells.parsed()?, cells.flag()?, cells.text()?);
    let (near, addresses) = (cells.text()?, cells.text()?);
    let (Ok(near), Ok(addresses)) = (serde_json::from_str(&near), serde_json::from_str(&addresses)) else {
        return cells.corrupt();
    };
    let (capacity, held, leaving, drain) = (cells.number()?, cells.number()?, cells.flag()?, cells.flag()?);
    let (entered_at, knows_until, seen_at) = (cells.timestamp()?, cells.timestamp()?, cells.timestamp()?);
    let said = Said { region, near, addresses, capacity, held, leaving, knows_until };
    Ok(RelayHost { id, built_in, said, drain, entered_at, seen_at })
}
