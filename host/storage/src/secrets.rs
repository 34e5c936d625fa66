//! What the host made and checks once: signatures, codes and links.

use switchhook_core::row::{Secret, SecretKind};
use switchhook_protocol::{id::DeviceId, time::Timestamp};

use crate::{
    cells::{Cells, millis},
    dialect::{Query, Row},
    error::StorageError,
    lifecycle::TenantStorage,
    transaction::Transaction,
    words::Word as _,
};

const PUT: &str = "INSERT INTO secrets \
     (tenant, secret, kind, attempt, endpoint, device, key_id, digest, tries_left, expires_at, used_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
     ON CONFLICT (tenant, kind, secret) DO UPDATE SET attempt = excluded.attempt, endpoint = excluded.endpoint, \
     device = excluded.device, key_id = excluded.key_id, digest = excluded.digest, \
     tries_left = excluded.tries_left, expires_at = excluded.expires_at, used_at = excluded.used_at";
const GET: &str = "SELECT secret, kind, attempt, endpoint, device, key_id, digest, tries_left, expires_at, used_at \
     FROM secrets WHERE tenant = $1 AND kind = $2 AND secret = $3";
const USE: &str = "UPDATE secrets SET used_at = $4 \
     WHERE tenant = $1 AND kind = $2 AND secret = $3 AND used_at IS NULL AND tries_left > 0 AND expires_at > $4";
const WRONG_TRY: &str = "UPDATE secrets SET tries_left = tries_left - 1 \
     WHERE tenant = $1 AND kind = $2 AND secret = $3 AND tries_left > 0 RETURNING secret, tries_left";

impl TenantStorage {
    /// The secret of this id, whether it can still be used or not.
    pub async fn secret(&self, id: &str, kind: SecretKind) -> Result<Option<Secret>, StorageError> {
        let query = keyed(GET, self.tenant().as_str(), id, kind);
        self.storage().one(query, decode).await
    }
}

impl Transaction<'_> {
    /// Stores a secret; a new one of the same id takes the place of the former.
    pub async fn put_secret(&mut self, secret: &Secret) -> Result<(), StorageError> {
        let query = Query::from(PUT)
            .bind(self.tenant().to_owned())
            .bind(secret.id.clone())
            .bind(secret.kind.word())
            .bind(secret.attempt.as_str().to_owned())
            .bind(secret.endpoint.reveal().to_owned())
            .bind(secret.device.as_ref().map_or("", DeviceId::as_str).to_owned())
            .bind(secret.key_id.to_vec())
            .bind(secret.digest.clone())
            .bind(i64::from(secret.tries_left))
            .bind(millis(secret.expires_at))
            .bind(secret.used_at.map(millis));
        self.write(query).await.map(drop)
    }

    /// The secret of this id, whether it can still be used or not.
    pub async fn secret(&mut self, id: &str, kind: SecretKind) -> Result<Option<Secret>, StorageError> {
        let query = keyed(GET, self.tenant(), id, kind);
        self.one(query, decode).await
    }

    /// Uses it: once, before it expires, while it bears tries. Says whether that was so.
    pub async fn use_secret(
        &mut self,
        id: &str,
        kind: SecretKind,
        at: Timestamp,
    ) -> Result<bool, StorageError> {
        let query = keyed(USE, self.tenant(), id, kind).bind(millis(at));
        Ok(self.write(query).await? > 0)
    }

    /// Counts a wrong try; says how many more it bears.
    pub async fn wrong_try(&mut self, id: &str, kind: SecretKind) -> Result<u8, StorageError> {
        let query = keyed(WRONG_TRY, self.tenant(), id, kind);
        let left = self.one(query, tries_left).await?;
        Ok(left.unwrap_or(0))
    }
}

fn keyed(statement: &'static str, tenant: &str, id: &str, kind: SecretKind) -> Query {
    Query::from(statement).bind(tenant.to_owned()).bind(kind.word()).bind(id.to_owned())
}

fn tries_left(row: &Row) -> Result<u8, StorageError> {
    let mut cells = Cells::of("secrets", row);
    cells.text()?;
    cells.number()
}

fn decode(row: &Row) -> Result<Secret, StorageError> {
    let mut cells = Cells::of("secrets", row);
    Ok(Secret {
        id: cells.text()?,
        kind: cells.word()?,
        attempt: cells.parsed()?,
        endpoint: cells.parsed()?,
        device: cells.parsed_if_any()?,
        key_id: cells.array()?,
        digest: cells.bytes()?,
        tries_left: cells.number()?,
        expires_at: cells.timestamp()?,
        used_at: cells.optional_timestamp()?,
    })
}
