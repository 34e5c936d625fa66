//! Secrets of plugins, sealed: set and removed from outside, read by the host alone.

use switchhook_core::policy::Slot;

use crate::{
    cells::Cells,
    dialect::{Query, Row},
    error::StorageError,
    lifecycle::TenantStorage,
    transaction::Transaction,
    words::Word as _,
};

const ALL: &str =
    "SELECT secret, value FROM plugin_secrets WHERE tenant = $1 AND slot = $2 AND name = $3 ORDER BY secret";
const PUT: &str = "INSERT INTO plugin_secrets (tenant, slot, name, secret, value) VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT (tenant, slot, name, secret) DO UPDATE SET value = excluded.value";
const REMOVE: &str =
    "DELETE FROM plugin_secrets WHERE tenant = $1 AND slot = $2 AND name = $3 AND secret = $4";

impl TenantStorage {
    /// The secrets of one plugin: names, and values as they are sealed.
    pub async fn plugin_secrets(
        &self,
        slot: Slot,
        name: &str,
    ) -> Result<Vec<(String, Vec<u8>)>, StorageError> {
        let query = of_plugin(ALL, self.tenant().as_str(), (slot, name));
        self.storage().all(query, decode).await
    }
}

impl Transaction<'_> {
    /// Sets a secret, sealed.
    pub async fn put_plugin_secret(
        &mut self,
        plugin: (Slot, &str),
        secret: &str,
        sealed: Vec<u8>,
    ) -> Result<(), StorageError> {
        let query = of_plugin(PUT, self.tenant(), plugin).bind(secret.to_owned()).bind(sealed);
        self.write(query).await.map(drop)
    }

    /// Removes a secret; says whether there was one.
    pub async fn remove_plugin_secret(
        &mut self,
        plugin: (Slot, &str),
        secret: &str,
    ) -> Result<bool, StorageError> {
        let query = of_plugin(REMOVE, self.tenant(), plugin).bind(secret.to_owned());
        Ok(self.write(query).await? > 0)
    }
}

fn of_plugin(statement: &'static str, tenant: &str, (slot, name): (Slot, &str)) -> Query {
    Query::from(statement).bind(tenant.to_owned()).bind(slot.word()).bind(name.to_owned())
}

fn decode(row: &Row) -> Result<(String, Vec<u8>), StorageError> {
    let mut cells = Cells::of("plugin_secrets", row);
    Ok((cells.text()?, cells.bytes()?))
}
