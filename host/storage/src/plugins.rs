//! Plugins: their components by digest, and which version of each is active.

use switchhook_core::policy::Slot;
use switchhook_protocol::id::TenantId;

use crate::{
    cells::{Cells, integer},
    dialect::Row,
    error::StorageError,
    lifecycle::{Storage, TenantStorage},
    transaction::Transaction,
    words::Word as _,
};

const PUT_ARTIFACT: &str = "INSERT INTO artifacts (tenant, digest, bytes) VALUES ($1, $2, $3) \
     ON CONFLICT (tenant, digest) DO NOTHING";
const ARTIFACT: &str = "SELECT tenant, bytes FROM artifacts WHERE tenant = $1 AND digest = $2";
const LIST: &str = "SELECT name, slot, version, digest, configuration, active FROM activations \
     WHERE tenant = $1 ORDER BY slot, name, version";
const ACTIVE: &str = "SELECT name, slot, version, digest, configuration, active FROM activations \
     WHERE tenant = $1 AND active = 1 ORDER BY slot, name";
const DEACTIVATE: &str = "UPDATE activations SET active = 0 \
     WHERE tenant = $1 AND slot = $2 AND name = $3 AND active = 1 AND version <> $4";
const PUT: &str = "INSERT INTO activations (tenant, slot, name, version, digest, configuration, active) \
     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (tenant, slot, name, version) DO UPDATE \
     SET digest = excluded.digest, configuration = excluded.configuration, active = excluded.active";
const RAISE: &str = "UPDATE tenants SET plugin_revision = plugin_revision + 1 WHERE tenant = $1";
const REVISIONS: &str = "SELECT tenant, plugin_revision FROM tenants ORDER BY tenant";
const REVISION: &str = "SELECT tenant, plugin_revision FROM tenants WHERE tenant = $1";

/// One version of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activation {
    /// What it decides.
    pub slot: Slot,
    /// Its name within the slot.
    pub name: String,
    /// Counts its uploads.
    pub version: u32,
    /// SHA-256 of its component.
    pub digest: [u8; 32],
    /// The tenant's configuration, as the plugin wants it.
    pub configuration: String,
    /// It is the one that new sessions and attempts ask.
    pub active: bool,
}

/// The plugins of a tenant.
#[derive(Debug)]
pub struct Plugins<'a>(&'a TenantStorage);

impl TenantStorage {
    /// The plugins.
    pub const fn plugins(&self) -> Plugins<'_> {
        Plugins(self)
    }
}

impl Plugins<'_> {
    /// The component of this digest.
    pub async fn artifact(&self, digest: &[u8; 32]) -> Result<Option<Vec<u8>>, StorageError> {
        let query = sqlx::query(ARTIFACT).bind(self.tenant()).bind(digest.to_vec());
        let bytes = |row: &Row| {
            let mut cells = Cells::of("artifacts", row);
            cells.text()?;
            cells.bytes()
        };
        self.0.storage().one(query, bytes).await
    }

    /// The active versions, by slot and name.
    pub async fn active(&self) -> Result<Vec<Activation>, StorageError> {
        self.0.storage().all(sqlx::query(ACTIVE).bind(self.tenant()), decode).await
    }

    /// All versions, by slot, name and version.
    pub async fn list(&self) -> Result<Vec<Activation>, StorageError> {
        self.0.storage().all(sqlx::query(LIST).bind(self.tenant()), decode).await
    }

    /// Counts the changes of this tenant's plugins.
    pub async fn revision(&self) -> Result<u64, StorageError> {
        let revision = self.0.storage().one(sqlx::query(REVISION).bind(self.tenant()), revision).await?;
        Ok(revision.map_or(0, |(_, revision)| revision))
    }

    fn tenant(&self) -> String {
        self.0.tenant().as_str().to_owned()
    }
}

impl Storage {
    /// The plugin revisions of all tenants: who has loaded an older one loads again.
    pub async fn plugin_revisions(&self) -> Result<Vec<(TenantId, u64)>, StorageError> {
        self.all(sqlx::query(REVISIONS), revision).await
    }
}

impl Transaction<'_> {
    /// Stores a component; the same bytes are stored once.
    pub async fn put_artifact(&mut self, digest: &[u8; 32], bytes: Vec<u8>) -> Result<(), StorageError> {
        let query =
            sqlx::query(PUT_ARTIFACT).bind(self.tenant().to_owned()).bind(digest.to_vec()).bind(bytes);
        self.write(query).await.map(drop)
    }

    /// Stores a version. An active one takes the place of the active version of its name, and new
    /// sessions ask it from this commit on. Raises the tenant's revision.
    pub async fn put_activation(&mut self, activation: &Activation) -> Result<(), StorageError> {
        let version = integer(activation.version.into());
        if activation.active {
            let query = sqlx::query(DEACTIVATE)
                .bind(self.tenant().to_owned())
                .bind(activation.slot.word())
                .bind(activation.name.clone())
                .bind(version);
            self.write(query).await?;
        }
        let query = sqlx::query(PUT)
            .bind(self.tenant().to_owned())
            .bind(activation.slot.word())
            .bind(activation.name.clone())
            .bind(version)
            .bind(activation.digest.to_vec())
            .bind(activation.configuration.clone())
            .bind(i64::from(activation.active));
        self.write(query).await?;
        let raise = sqlx::query(RAISE).bind(self.tenant().to_owned());
        self.write(raise).await.map(drop)
    }
}

fn decode(row: &Row) -> Result<Activation, StorageError> {
    let mut cells = Cells::of("activations", row);
    Ok(Activation {
        name: cells.text()?,
        slot: cells.word()?,
        version: cells.number()?,
        digest: cells.array()?,
        configuration: cells.text()?,
        active: cells.flag()?,
    })
}

fn revision(row: &Row) -> Result<(TenantId, u64), StorageError> {
    let mut cells = Cells::of("tenants", row);
    Ok((cells.parsed()?, cells.number()?))
}
