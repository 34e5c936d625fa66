//! Tokens of administrators, by hash: the token itself is kept by its holder alone.

use switchhook_protocol::{
    id::{ApplicationId, RelayHostId, TenantId},
    time::Timestamp,
};

use crate::{
    audit::AuditEntry,
    cells::{Cells, millis},
    dialect::{Query, Row},
    error::StorageError,
    lifecycle::Storage,
    transaction::Transaction,
};

const PUT: &str = "INSERT INTO admin_tokens (hash, tenant, application, label, created_at, expires_at, revoked_at, relay_host) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const GET: &str = "SELECT label, hash, tenant, application, created_at, expires_at, revoked_at, relay_host FROM admin_tokens \
     WHERE hash = $1";
const LIST: &str = "SELECT label, hash, tenant, application, created_at, expires_at, revoked_at, relay_host FROM admin_tokens \
     ORDER BY created_at, label";
const REVOKE: &str = "UPDATE admin_tokens SET revoked_at = $2 WHERE hash = $1 AND revoked_at IS NULL";

/// An administrator's token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminToken {
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// What it administers; the operator's has none, and administers everything.
    pub tenant: Option<TenantId>,
    /// It registers for this application of the tenant, and administers nothing (REG-12).
    pub application: Option<ApplicationId>,
    /// It speaks for this relay host, and administers nothing (REL-1).
    pub relay_host: Option<RelayHostId>,
    /// What it is for, in its maker's words.
    pub label: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// It counts until then.
    pub expires_at: Option<Timestamp>,
    /// It was taken back then.
    pub revoked_at: Option<Timestamp>,
}

/// The administrators' tokens.
#[derive(Debug)]
pub struct AdminTokens<'a>(&'a Storage);

impl Storage {
    /// The administrators' tokens.
    pub const fn admin_tokens(&self) -> AdminTokens<'_> {
        AdminTokens(self)
    }
}

impl AdminTokens<'_> {
    /// Stores a token of the operator's, and who made it.
    pub async fn put(&self, token: &AdminToken, noted: AuditEntry) -> Result<(), StorageError> {
        let query = put(token);
        let work = async move |tx: &mut Transaction<'_>| {
            tx.write(query).await?;
            tx.operator_audit(&noted).await
        };
        self.0.run("put-admin-token", work).await
    }

    /// The token of this hash, whether it still counts or not.
    pub async fn get(&self, hash: &[u8; 32]) -> Result<Option<AdminToken>, StorageError> {
        self.0.one(Query::from(GET).bind(hash.to_vec()), decode).await
    }

    /// All, oldest first.
    pub async fn list(&self) -> Result<Vec<AdminToken>, StorageError> {
        self.0.all(Query::from(LIST), decode).await
    }

    /// Takes a token of the operator's back, and notes who did; says whether it counted until then.
    pub async fn revoke(&self, hash: &[u8; 32], noted: AuditEntry) -> Result<bool, StorageError> {
        let query = revoke(hash, noted.at);
        let work = async move |tx: &mut Transaction<'_>| {
            let revoked = tx.write(query).await? > 0;
            if revoked {
                tx.operator_audit(&noted).await?;
            }
            Ok::<_, StorageError>(revoked)
        };
        self.0.run("revoke-admin-token", work).await
    }
}

/// For whoever administers the tenant of the transaction, beside the audit.
impl Transaction<'_> {
    /// Stores a token.
    pub async fn put_admin_token(&mut self, token: &AdminToken) -> Result<(), StorageError> {
        self.write(put(token)).await.map(drop)
    }

    /// Takes a token back; says whether it counted until now.
    pub async fn revoke_admin_token(
        &mut self,
        hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        Ok(self.write(revoke(hash, now)).await? > 0)
    }
}

fn put(token: &AdminToken) -> Query {
    Query::from(PUT)
        .bind(token.hash.to_vec())
        .bind(token.tenant.as_ref().map(|tenant| tenant.as_str().to_owned()))
        .bind(token.application.as_ref().map(|application| application.as_str().to_owned()))
        .bind(token.label.clone())
        .bind(millis(token.created_at))
        .bind(token.expires_at.map(millis))
        .bind(token.revoked_at.map(millis))
        .bind(token.relay_host.as_ref().map(|host| host.as_str().to_owned()))
}

fn revoke(hash: &[u8; 32], now: Timestamp) -> Query {
    Query::from(REVOKE).bind(hash.to_vec()).bind(millis(now))
}

fn decode(row: &Row) -> Result<AdminToken, StorageError> {
    let mut cells = Cells::of("admin_tokens", row);
    Ok(AdminToken {
        label: cells.text()?,
        hash: cells.array()?,
        tenant: cells.optional_parsed()?,
        application: cells.optional_parsed()?,
        created_at: cells.timestamp()?,
        expires_at: cells.optional_timestamp()?,
        revoked_at: cells.optional_timestamp()?,
        relay_host: cells.optional_parsed()?,
    })
}
