//! Key-value pairs that a tenant's plugins keep between their calls.

use std::collections::BTreeMap;

use switchhook_core::policy::registration::Pair;

use crate::{
    cells::Cells,
    dialect::{Query, Row},
    error::StorageError,
    lifecycle::TenantStorage,
    transaction::Transaction,
};

const ALL: &str = "SELECT key, value FROM pairs WHERE tenant = $1 ORDER BY key";
const PUT: &str = "INSERT INTO pairs (tenant, key, value) VALUES ($1, $2, $3) \
     ON CONFLICT (tenant, key) DO UPDATE SET value = excluded.value";
const REMOVE: &str = "DELETE FROM pairs WHERE tenant = $1 AND key = $2";
const SIZE: &str =
    "SELECT COALESCE(SUM(octet_length(key) + octet_length(value)), 0) FROM pairs WHERE tenant = $1";

/// The pairs of a tenant.
#[derive(Debug)]
pub struct Pairs<'a>(&'a TenantStorage);

impl TenantStorage {
    /// The pairs.
    pub const fn pairs(&self) -> Pairs<'_> {
        Pairs(self)
    }
}

impl Pairs<'_> {
    /// All of them; what a tenant may keep is bounded by its grants.
    pub async fn all(&self) -> Result<BTreeMap<String, Vec<u8>>, StorageError> {
        let query = Query::from(ALL).bind(self.0.tenant().as_str().to_owned());
        Ok(self.0.storage().all(query, decode).await?.into_iter().collect())
    }
}

impl Transaction<'_> {
    /// Changes a pair.
    pub async fn put_pair(&mut self, pair: &Pair) -> Result<(), StorageError> {
        let (tenant, key) = (self.tenant().to_owned(), pair.key.clone());
        let query = match &pair.value {
            Some(value) => Query::from(PUT).bind(tenant).bind(key).bind(value.clone()),
            None => Query::from(REMOVE).bind(tenant).bind(key),
        };
        self.write(query).await.map(drop)
    }

    /// All of them.
    pub(crate) async fn pairs(&mut self) -> Result<Vec<(String, Vec<u8>)>, StorageError> {
        let query = Query::from(ALL).bind(self.tenant().to_owned());
        self.all(query, decode).await
    }

    /// What the tenant's pairs take, keys and values, in bytes.
    pub async fn size_of_pairs(&mut self) -> Result<u64, StorageError> {
        let query = Query::from(SIZE).bind(self.tenant().to_owned());
        let size = self.one(query, |row| Cells::of("pairs", row).number()).await?;
        Ok(size.unwrap_or(0))
    }
}

fn decode(row: &Row) -> Result<(String, Vec<u8>), StorageError> {
    let mut cells = Cells::of("pairs", row);
    Ok((cells.text()?, cells.bytes()?))
}
