//! Who changed what: appended in the transaction of the change.

use switchhook_protocol::time::Timestamp;

use crate::{
    cells::{Cells, integer, millis},
    dialect::{Query, Row},
    error::StorageError,
    lifecycle::{Storage, TenantStorage},
    transaction::Transaction,
};

const APPEND: &str =
    "INSERT INTO audit (tenant, at, actor, action, subject, detail) VALUES ($1, $2, $3, $4, $5, $6)";
const AFTER: &str = "SELECT id, at, actor, action, subject, detail FROM audit \
     WHERE tenant = $1 AND id > $2 ORDER BY id LIMIT $3";
const APPEND_OPERATORS: &str =
    "INSERT INTO operator_audit (at, actor, action, subject, detail) VALUES ($1, $2, $3, $4, $5)";
const AFTER_OPERATORS: &str = "SELECT id, at, actor, action, subject, detail FROM operator_audit \
     WHERE id > $1 ORDER BY id LIMIT $2";

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// Who: a token's label.
    pub actor: String,
    /// What was done, as a word.
    pub action: String,
    /// To what.
    pub subject: String,
    /// More about it, as JSON or text.
    pub detail: String,
}

/// The changes of a tenant.
#[derive(Debug)]
pub struct Audit<'a>(&'a TenantStorage);

impl TenantStorage {
    /// Who changed what.
    pub const fn audit(&self) -> Audit<'_> {
        Audit(self)
    }
}

impl Audit<'_> {
    /// The entries after this position (0: from the first), each with its own.
    pub async fn after(&self, position: u64, limit: u32) -> Result<Vec<(u64, AuditEntry)>, StorageError> {
        let tenant = self.0.tenant().as_str().to_owned();
        let query = Query::from(AFTER).bind(tenant).bind(integer(position)).bind(limit);
        self.0.storage().all(query, decode).await
    }
}

impl Storage {
    /// The operator's own changes after this position (0: from the first), each with its own.
    pub async fn operator_audit(
        &self,
        position: u64,
        limit: u32,
    ) -> Result<Vec<(u64, AuditEntry)>, StorageError> {
        let query = Query::from(AFTER_OPERATORS).bind(integer(position)).bind(limit);
        self.all(query, decode).await
    }
}

impl Transaction<'_> {
    /// Notes a change of what belongs to no tenant.
    pub(crate) async fn operator_audit(&mut self, entry: &AuditEntry) -> Result<(), StorageError> {
        self.write(bind(Query::from(APPEND_OPERATORS), entry)).await.map(drop)
    }

    /// Notes a change.
    pub async fn audit(&mut self, entry: &AuditEntry) -> Result<(), StorageError> {
        let of_tenant = Query::from(APPEND).bind(self.tenant().to_owned());
        self.write(bind(of_tenant, entry)).await.map(drop)
    }
}

fn bind(query: Query, entry: &AuditEntry) -> Query {
    query
        .bind(millis(entry.at))
        .bind(entry.actor.clone())
        .bind(entry.action.clone())
        .bind(entry.subject.clone())
        .bind(entry.detail.clone())
}

fn decode(row: &Row) -> Result<(u64, AuditEntry), StorageError> {
    let mut cells = Cells::of("audit", row);
    let position = cells.number()?;
    let entry = AuditEntry {
        at: cells.timestamp()?,
        actor: cells.text()?,
        action: cells.text()?,
        subject: cells.text()?,
        detail: cells.text()?,
    };
    Ok((position, entry))
}
