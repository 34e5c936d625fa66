//! Effects on the outside: committed with their cause, performed afterwards.
//!
//! Who performs entries claims them first: queued → performing, with its name, committed. What a process
//! left performing that is no more ([`crate::Nodes`]) was perhaps performed. A text or mail is then in doubt, reported,
//! and not performed again by itself; a request is queued again, since its idempotency key makes the
//! second one harmless (DESIGN §2.8).

use futures_util::future::join_all;
use switchhook_core::row::{OutboxEntry, OutboxKind, OutboxState};
use switchhook_protocol::id::{AttemptId, GatewayId, MessageId, NodeId, TenantId};

use crate::{
    cells::Cells,
    dialect::{Query, Row},
    error::StorageError,
    lifecycle::{Storage, TenantStorage},
    limits,
    transaction::Transaction,
    words::Word as _,
};

const IN_STATE: &str = "SELECT entry, kind, attempt, gateway, payload, state, queued_at, tenant FROM outbox \
     WHERE state = $1 AND kind = $2 ORDER BY queued_at LIMIT CAST($3 AS BIGINT)";
const IN_DOUBT: &str = "SELECT entry, kind, attempt, gateway, payload, state, queued_at, tenant FROM outbox \
     WHERE tenant = $1 AND state = 'in-doubt' AND kind = $2 ORDER BY queued_at LIMIT CAST($3 AS BIGINT)";
const FROM: &str = "SELECT entry, kind, attempt, gateway, payload, state, queued_at, tenant FROM outbox \
     WHERE tenant = $1 AND entry > $2 ORDER BY entry LIMIT CAST($3 AS BIGINT)";
const FAILED: &str = "SELECT entry, kind, attempt, gateway, payload, state, queued_at, tenant FROM outbox \
     WHERE tenant = $1 AND attempt = $2 AND kind = 'text' AND state = 'failed' AND NOT EXISTS \
         (SELECT 1 FROM outbox AS o WHERE o.tenant = $1 AND o.attempt = $2 AND o.kind = 'text' AND o.state <> 'failed') \
     LIMIT 1";
const FORGET: &str = "DELETE FROM outbox WHERE tenant = $1 AND entry = $2";
/// What a node may begin of a kind: nothing for whom it is performing as much already.
macro_rules! may_begin {
    () => {
        "state = 'queued' AND kind = $1 AND ($1 = 'fetch' OR ( \
             (tenant, COALESCE(gateway, '')) NOT IN \
                 (SELECT busy.tenant, COALESCE(busy.gateway, '') FROM outbox AS busy \
                  WHERE busy.state = 'performing' AND busy.kind = $1 AND busy.node = $3 \
                  GROUP BY busy.tenant, COALESCE(busy.gateway, '') HAVING COUNT(*) >= CAST($4 AS BIGINT)) \
             AND tenant NOT IN \
                 (SELECT busy.tenant FROM outbox AS busy \
                  WHERE busy.state = 'performing' AND busy.kind = $1 AND busy.node = $3 \
                  GROUP BY busy.tenant HAVING COUNT(*) >= 2 * CAST($4 AS BIGINT)))) \
         ORDER BY queued_at LIMIT CAST($2 AS BIGINT)"
    };
}

const LONGEST: &str = concat!(
    "SELECT tenant, COUNT(*) FROM (SELECT tenant FROM outbox WHERE ",
    may_begin!(),
    ") AS longest GROUP BY tenant"
);
const CLAIM: &str = concat!(
    "UPDATE outbox SET state = 'performing', node = $3 WHERE tenant = $5 AND entry IN \
     (SELECT entry FROM outbox WHERE tenant = $5 AND ",
    may_begin!(),
    ") RETURNING entry, kind, attempt, gateway, payload, state, queued_at, tenant"
);
const DOUBT: &str = "UPDATE outbox SET state = 'in-doubt' WHERE state = 'performing' AND kind IN ('text', 'mail') \
     AND (node IS NULL OR node NOT IN (SELECT node FROM nodes)) \
     RETURNING entry, kind, attempt, gateway, payload, state, queued_at, tenant";
const QUEUE_AGAIN: &str = "UPDATE outbox SET state = 'queued' WHERE state = 'performing' AND kind = 'fetch' \
     AND (node IS NULL OR node NOT IN (SELECT node FROM nodes))";
const GET: &str = "SELECT entry, kind, attempt, gateway, payload, state, queued_at, tenant FROM outbox \
     WHERE tenant = $1 AND entry = $2";
const BY_REFERENCE: &str = "SELECT entry, kind, attempt, gateway, payload, state, queued_at, tenant FROM outbox \
     WHERE tenant = $1 AND gateway = $2 AND reference = $3";
const REFER: &str = "UPDATE outbox SET reference = $3 WHERE tenant = $1 AND entry = $2";
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
    ///
    /// Of texts at most [`limits::GATEWAY_SHARE`] at a time, and none for a gateway by which the node is sending as many
    /// already, nor for a tenant with twice as many: a gateway that does not answer holds up nobody else's texts. A
    /// tenant's mail server is to mails what a gateway is to texts.
    ///
    /// Whose entries wait longest is read, and each of these tenants' is claimed in a transaction of its own, which
    /// holds up no other tenant at no node. If another node was faster with all of them, it looks again.
    pub async fn claim(
        &self,
        node: &NodeId,
        kind: OutboxKind,
        limit: u32,
    ) -> Result<Vec<OfTenant>, StorageError> {
        let share = match kind {
            OutboxKind::Text => limits::GATEWAY_SHARE,
            OutboxKind::Mail => limits::MAIL_SERVER_SHARE,
            OutboxKind::Fetch => limit,
        };
        let of = |statement: &'static str, limit: u32| {
            Query::from(statement).bind(kind.word()).bind(limit).bind(node.as_str()).bind(share)
        };
        loop {
            let longest = self.0.all(of(LONGEST, limit.min(share)), waiting).await?;
            let claims = longest.iter().map(|(tenant, count)| {
                let claim = of(CLAIM, *count).bind(tenant.as_str().to_owned());
                let of_tenant = self.0.of(tenant);
                async move { of_tenant.run("claim-outbox", async move |tx| tx.all(claim, decode).await).await }
            });
            let claimed = all_claimed(join_all(claims).await)?;
            if longest.is_empty() || !claimed.is_empty() {
                return Ok(claimed);
            }
        }
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

    /// The tenant's entries of a kind that are in doubt, the oldest first, at most so many.
    pub async fn in_doubt(&self, kind: OutboxKind, limit: u32) -> Result<Vec<OutboxEntry>, StorageError> {
        let query =
            Query::from(IN_DOUBT).bind(self.tenant().as_str().to_owned()).bind(kind.word()).bind(limit);
        self.storage().all(query, |row| decode(row).map(|(_, entry)| entry)).await
    }

    /// The tenant's entries by their ids, from behind this one, at most so many.
    pub async fn outbox_page(
        &self,
        after: Option<&MessageId>,
        limit: u32,
    ) -> Result<Vec<OutboxEntry>, StorageError> {
        let after = after.map_or("", MessageId::as_str).to_owned();
        let query = Query::from(FROM).bind(self.tenant().as_str().to_owned()).bind(after).bind(limit);
        self.storage().all(query, |row| decode(row).map(|(_, entry)| entry)).await
    }

    /// Whether this attempt has had texts and all have failed, as far back as entries are kept.
    pub async fn has_failed_texts(&self, attempt: &AttemptId) -> Result<bool, StorageError> {
        let query =
            Query::from(FAILED).bind(self.tenant().as_str().to_owned()).bind(attempt.as_str().to_owned());
        Ok(self.storage().one(query, decode).await?.is_some())
    }

    /// The entry that a gateway calls so.
    pub async fn outbox_by_reference(
        &self,
        gateway: &GatewayId,
        reference: &str,
    ) -> Result<Option<OutboxEntry>, StorageError> {
        let query = Query::from(BY_REFERENCE)
            .bind(self.tenant().as_str().to_owned())
            .bind(gateway.as_str().to_owned())
            .bind(reference.to_owned());
        self.storage().one(query, |row| decode(row).map(|(_, entry)| entry)).await
    }
}

impl Transaction<'_> {
    /// Moves an entry on; false if it is in none of the states that it is moved from.
    pub async fn move_outbox(
        &mut self,
        entry: &MessageId,
        from: &[OutboxState],
        to: OutboxState,
    ) -> Result<bool, StorageError> {
        for from in from {
            let query = Query::from(MOVE)
                .bind(self.tenant().to_owned())
                .bind(entry.as_str().to_owned())
                .bind(from.word())
                .bind(to.word());
            if self.write(query).await? > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Forgets an entry, whatever its state.
    pub async fn forget_outbox(&mut self, entry: &MessageId) -> Result<(), StorageError> {
        let query = Query::from(FORGET).bind(self.tenant().to_owned()).bind(entry.as_str().to_owned());
        self.write(query).await.map(drop)
    }

    /// Notes what the other side calls an entry.
    pub async fn refer_outbox(&mut self, entry: &MessageId, reference: &str) -> Result<(), StorageError> {
        let query = Query::from(REFER)
            .bind(self.tenant().to_owned())
            .bind(entry.as_str().to_owned())
            .bind(reference.to_owned());
        self.write(query).await.map(drop)
    }
}

/// Takes up what nodes were performing that are no more: texts and mails are in doubt, and are the answer; requests wait
/// again.
pub(crate) async fn take_up(tx: &mut Transaction<'_>) -> Result<Vec<OfTenant>, StorageError> {
    tx.write(Query::from(QUEUE_AGAIN)).await?;
    tx.all(Query::from(DOUBT), decode).await
}

/// What was claimed of all tenants, the oldest first. What fails for some of them waits on; it fails if it does for all.
fn all_claimed(claims: Vec<Result<Vec<OfTenant>, StorageError>>) -> Result<Vec<OfTenant>, StorageError> {
    let (mut claimed, mut failed) = (Vec::new(), None);
    for claim in claims {
        match claim {
            Ok(entries) => claimed.extend(entries),
            Err(trouble) => failed = Some(trouble),
        }
    }
    claimed.sort_by_key(|(_, entry): &OfTenant| entry.queued_at);
    match failed {
        Some(trouble) if claimed.is_empty() => Err(trouble),
        Some(_) | None => Ok(claimed),
    }
}

/// A tenant, and how many of its entries are among those that wait longest.
fn waiting(row: &Row) -> Result<(TenantId, u32), StorageError> {
    let mut cells = Cells::of("outbox", row);
    Ok((cells.parsed()?, cells.number()?))
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
