//! Effects on the outside: committed with their cause, performed afterwards.
//!
//! Who performs entries claims them first: queued → performing, with its name, committed. What a process
//! left performing that is no more ([`crate::Nodes`]) was perhaps performed. A text is then in doubt, reported,
//! and not performed again by itself; a request is queued again, since its idempotency key makes the
//! second one harmless (DESIGN §2.8).

use switchhook_core::row::{OutboxEntry, OutboxKind, OutboxState};
use switchhook_protocol::id::{MessageId, NodeId, TenantId};

use crate::{
    cells::Cells,
    dialect::{Query, Row},
    error::StorageError,
    lifecycle::{Storage, TenantStorage},
    transaction::Transaction,
    words::Word as _,
};

const IN_STATE: &str = "SELECT entry, kind, attempt, gateway, payload, state, queued_at, tenant FROM outbox \
     WHERE state = $1 AND kind = $2 ORDER BY queued_at LIMIT CAST($3 AS BIGINT)";
const CLAIM: &str = "UPDATE outbox SET state = 'performing', node = $3 WHERE (tenant, entry) IN \
     (SELECT tenant, entry FROM outbox WHERE state = 'queued' AND kind = $1 \
      ORDER BY queued_at LIMIT CAST($2 AS BIGINT)) \
     RETURNING entry, kind, attempt, gateway, payload, state, queued_at, tenant";
const DOUBT: &str = "UPDATE outbox SET state = 'in-doubt' WHERE state = 'performing' AND kind = 'text' \
     AND (node IS NULL OR node NOT IN (SELECT node FROM nodes)) \
     RETURNING entry, kind, attempt, gateway, payload, state, queued_at, tenant";
const QUEUE_AGAIN: &str = "UPDATE outbox SET state = 'queued' WHERE state = 'performing' AND kind = 'fetch' \
     AND (node IS NULL OR node NOT IN (SELECT node FROM nodes))";
const GET: &str = "SELECT entry, kind, attempt, gateway, payload, state, queued_at, tenant FROM outbox \
     WHERE tenant = $1 AND entry = $2";
const MOVE: &str = "UPDATE outbox SET state = $4 WHERE tenant = $1 AND entry = $2 AND state = $3";

/// The outbox of all tenants.
#[derive(Debug)]
pub struct Outbox<'a>(&'a Storage);

/// An entry and whose it is.
type OfTenant = (TenantId, OutboxEntry);

impl Storage {
    /// The outbox of all tenants.
    pub const fn outbox(&self) -> Outbox<'_> {
        Outbox(self)
    }
}

impl Outbox<'_> {
    /// Claims for a node the entries of a kind that wait longest, at most so many: performing, committed. Claim
    /// only what is performed at once: if the node dies, it is not known whether these were.
    pub async fn claim(
        &self,
        node: &NodeId,
        kind: OutboxKind,
        limit: u32,
    ) -> Result<Vec<OfTenant>, StorageError> {
        // Whoever looks and finds nothing has not troubled the writer.
        if self.in_state(kind, OutboxState::Queued, 1).await?.is_empty() {
            return Ok(Vec::new());
        }
        let query = Query::from(CLAIM).bind(kind.word()).bind(limit).bind(node.as_str());
        let mut claimed = self.0.run("claim-outbox", async move |tx| tx.all(query, decode).await).await?;
        claimed.sort_by_key(|(_, entry)| entry.queued_at);
        Ok(claimed)
    }

    /// Entries of a kind in this state, the oldest first, at most so many.
    pub async fn in_state(
        &self,
        kind: OutboxKind,
        state: OutboxState,
        limit: u32,
    ) -> Result<Vec<OfTenant>, StorageError> {
        let query = Query::from(IN_STATE).bind(state.word()).bind(kind.word()).bind(limit);
        self.0.all(query, decode).await
    }
}

impl TenantStorage {
    /// One entry.
    pub async fn outbox_entry(&self, entry: &MessageId) -> Result<Option<OutboxEntry>, StorageError> {
        let query = Query::from(GET).bind(self.tenant().as_str().to_owned()).bind(entry.as_str().to_owned());
        self.storage().one(query, |row| decode(row).map(|(_, entry)| entry)).await
    }
}

impl Transaction<'_> {
    /// Moves an entry on; false if it is not in the state that it is moved from.
    pub async fn move_outbox(
        &mut self,
        entry: &MessageId,
        from: OutboxState,
        to: OutboxState,
    ) -> Result<bool, StorageError> {
        let query = Query::from(MOVE)
            .bind(self.tenant().to_owned())
            .bind(entry.as_str().to_owned())
            .bind(from.word())
            .bind(to.word());
        Ok(self.write(query).await? > 0)
    }
}

/// Takes up what nodes were performing that are no more: texts are in doubt, and are the answer; requests wait
/// again.
pub(crate) async fn take_up(tx: &mut Transaction<'_>) -> Result<Vec<OfTenant>, StorageError> {
    tx.write(Query::from(QUEUE_AGAIN)).await?;
    tx.all(Query::from(DOUBT), decode).await
}

fn decode(row: &Row) -> Result<OfTenant, StorageError> {
    let mut cells = Cells::of("outbox", row);
    let entry = OutboxEntry {
        id: cells.parsed()?,
        kind: cells.word()?,
        attempt: cells.parsed()?,
        gateway: cells.optional_parsed()?,
        payload: cells.bytes()?,
        state: cells.word()?,
        queued_at: cells.timestamp()?,
    };
    Ok((cells.parsed()?, entry))
}
