//! Plugins: their components by digest, their versions, and which version of each is active.
//!
//! A version is never changed but for its state and configuration. Of a registration method, one
//! version of each name is active; of the other slots, one version of all.

use switchhook_core::{policy::Slot, row::PluginVersion};
use switchhook_protocol::id::TenantId;

use crate::{
    cells::{Cells, integer, millis},
    dialect::{Query, Row},
    error::StorageError,
    lifecycle::{Storage, TenantStorage},
    transaction::Transaction,
    words::Word as _,
};

const PUT_ARTIFACT: &str = "INSERT INTO artifacts (tenant, digest, bytes) VALUES ($1, $2, $3) \
     ON CONFLICT (tenant, digest) DO NOTHING";
const ARTIFACT: &str = "SELECT tenant, bytes FROM artifacts WHERE tenant = $1 AND digest = $2";
const LIST: &str = "SELECT name, slot, version, digest, size, webhook, uploaded_at, uploaded_by, report, state, \
     activated, configuration FROM plugin_versions WHERE tenant = $1 ORDER BY slot, name, version";
const OF: &str = "SELECT name, slot, version, digest, size, webhook, uploaded_at, uploaded_by, report, state, \
     activated, configuration FROM plugin_versions WHERE tenant = $1 AND slot = $2 AND name = $3 ORDER BY version";
const LOADED: &str = "SELECT name, slot, version, digest, size, webhook, uploaded_at, uploaded_by, report, state, \
     activated, configuration FROM plugin_versions WHERE tenant = $1 AND state IN ('active', 'draining') \
     ORDER BY slot, name, version";
const PUT: &str = "INSERT INTO plugin_versions (tenant, slot, name, version, digest, size, webhook, \
     uploaded_at, uploaded_by, report, state, activated, configuration) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT DO NOTHING";
const SET: &str = "UPDATE plugin_versions SET state = $5, activated = $6, configuration = $7 \
     WHERE tenant = $1 AND slot = $2 AND name = $3 AND version = $4";
const DRAINED: &str = "UPDATE plugin_versions SET state = 'inactive' WHERE state = 'draining' AND NOT EXISTS \
     (SELECT 1 FROM attempts AS a WHERE a.tenant = plugin_versions.tenant AND a.method = plugin_versions.name \
      AND a.plugin_version = plugin_versions.version AND a.finished = 0) \
     RETURNING tenant, slot, name, version";
const RAISE: &str = "UPDATE tenants SET plugin_revision = plugin_revision + 1 WHERE tenant = $1";
const REVISIONS: &str = "SELECT tenant, plugin_revision FROM tenants ORDER BY tenant";
const REVISION: &str = "SELECT tenant, plugin_revision FROM tenants WHERE tenant = $1";
const GRANTS: &str = "SELECT name, slot, grants FROM plugin_grants WHERE tenant = $1 ORDER BY slot, name";
const PUT_GRANTS: &str = "INSERT INTO plugin_grants (tenant, slot, name, grants) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (tenant, slot, name) DO UPDATE SET grants = excluded.grants";

/// A version by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedVersion {
    /// What it decides.
    pub slot: Slot,
    /// Its name within the slot.
    pub name: String,
    /// Which.
    pub version: u32,
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
        let query = Query::from(ARTIFACT).bind(self.tenant()).bind(digest.to_vec());
        let bytes = |row: &Row| {
            let mut cells = Cells::of("artifacts", row);
            cells.text()?;
            cells.bytes()
        };
        self.0.storage().one(query, bytes).await
    }

    /// The versions that are asked: active or draining.
    pub async fn loaded(&self) -> Result<Vec<PluginVersion>, StorageError> {
        self.0.storage().all(Query::from(LOADED).bind(self.tenant()), decode).await
    }

    /// All versions, by slot, name and version.
    pub async fn list(&self) -> Result<Vec<PluginVersion>, StorageError> {
        self.0.storage().all(Query::from(LIST).bind(self.tenant()), decode).await
    }

    /// The versions of one plugin, oldest first.
    pub async fn of(&self, slot: Slot, name: &str) -> Result<Vec<PluginVersion>, StorageError> {
        self.0.storage().all(versions_of(&self.tenant(), slot, name), decode).await
    }

    /// What each plugin is granted, as JSON; one that is not there is granted nothing.
    pub async fn grants(&self) -> Result<Vec<(Slot, String, String)>, StorageError> {
        let query = Query::from(GRANTS).bind(self.tenant());
        let grants = |row: &Row| {
            let mut cells = Cells::of("plugin_grants", row);
            let name = cells.text()?;
            Ok((cells.word()?, name, cells.text()?))
        };
        self.0.storage().all(query, grants).await
    }

    /// Counts the changes of this tenant's plugins.
    pub async fn revision(&self) -> Result<u64, StorageError> {
        let revision = self.0.storage().one(Query::from(REVISION).bind(self.tenant()), revision).await?;
        Ok(revision.map_or(0, |(_, revision)| revision))
    }

    fn tenant(&self) -> String {
        self.0.tenant().as_str().to_owned()
    }
}

impl Storage {
    /// The plugin revisions of all tenants: who has loaded an older one loads again.
    pub async fn plugin_revisions(&self) -> Result<Vec<(TenantId, u64)>, StorageError> {
        self.all(Query::from(REVISIONS), revision).await
    }

    /// Ends the draining of versions that no attempt asks any more; says which.
    pub async fn end_draining(&self) -> Result<Vec<(TenantId, NamedVersion)>, StorageError> {
        self.run("end-draining", async move |tx| tx.all(Query::from(DRAINED), drained).await).await
    }
}

impl Transaction<'_> {
    /// Stores a component; the same bytes are stored once.
    pub async fn put_artifact(&mut self, digest: &[u8; 32], bytes: Vec<u8>) -> Result<(), StorageError> {
        let query =
            Query::from(PUT_ARTIFACT).bind(self.tenant().to_owned()).bind(digest.to_vec()).bind(bytes);
        self.write(query).await.map(drop)
    }

    /// The versions of one plugin, oldest first.
    pub async fn plugin_versions(
        &mut self,
        slot: Slot,
        name: &str,
    ) -> Result<Vec<PluginVersion>, StorageError> {
        let query = versions_of(self.tenant(), slot, name);
        self.all(query, decode).await
    }

    /// All versions of the tenant's plugins, by slot, name and version.
    pub async fn all_plugin_versions(&mut self) -> Result<Vec<PluginVersion>, StorageError> {
        let query = Query::from(LIST).bind(self.tenant().to_owned());
        self.all(query, decode).await
    }

    /// Stores a new version; false if its number is taken.
    pub async fn put_plugin_version(&mut self, version: &PluginVersion) -> Result<bool, StorageError> {
        let query = keyed(Query::from(PUT), self.tenant(), version)
            .bind(version.digest.to_vec())
            .bind(integer(version.size))
            .bind(version.webhook.clone())
            .bind(millis(version.uploaded_at))
            .bind(version.uploaded_by.clone())
            .bind(version.report.clone())
            .bind(version.state.word())
            .bind(integer(version.activated))
            .bind(version.configuration.clone());
        let stored = self.write(query).await?;
        self.raise_plugin_revision().await?;
        Ok(stored > 0)
    }

    /// Stores what changes of a version: state, count of activations, configuration.
    pub async fn set_plugin_version(&mut self, version: &PluginVersion) -> Result<(), StorageError> {
        let query = keyed(Query::from(SET), self.tenant(), version)
            .bind(version.state.word())
            .bind(integer(version.activated))
            .bind(version.configuration.clone());
        self.write(query).await?;
        self.raise_plugin_revision().await
    }

    /// Replaces what a plugin is granted, as JSON.
    pub async fn put_plugin_grants(
        &mut self,
        slot: Slot,
        name: &str,
        grants: &str,
    ) -> Result<(), StorageError> {
        let query = Query::from(PUT_GRANTS)
            .bind(self.tenant().to_owned())
            .bind(slot.word())
            .bind(name.to_owned())
            .bind(grants.to_owned());
        self.write(query).await?;
        self.raise_plugin_revision().await
    }

    async fn raise_plugin_revision(&mut self) -> Result<(), StorageError> {
        let raise = Query::from(RAISE).bind(self.tenant().to_owned());
        self.write(raise).await.map(drop)
    }
}

fn keyed(query: Query, tenant: &str, version: &PluginVersion) -> Query {
    query
        .bind(tenant.to_owned())
        .bind(version.slot.word())
        .bind(version.name.clone())
        .bind(integer(version.version.into()))
}

fn versions_of(tenant: &str, slot: Slot, name: &str) -> Query {
    Query::from(OF).bind(tenant.to_owned()).bind(slot.word()).bind(name.to_owned())
}

fn decode(row: &Row) -> Result<PluginVersion, StorageError> {
    let mut cells = Cells::of("plugin_versions", row);
    Ok(PluginVersion {
        name: cells.text()?,
        slot: cells.word()?,
        version: cells.number()?,
        digest: cells.array()?,
        size: cells.number()?,
        webhook: cells.optional_bytes()?,
        uploaded_at: cells.timestamp()?,
        uploaded_by: cells.text()?,
        report: cells.text()?,
        state: cells.word()?,
        activated: cells.number()?,
        configuration: cells.text()?,
    })
}

fn drained(row: &Row) -> Result<(TenantId, NamedVersion), StorageError> {
    let mut cells = Cells::of("plugin_versions", row);
    let tenant = cells.parsed()?;
    Ok((tenant, NamedVersion { slot: cells.word()?, name: cells.text()?, version: cells.number()? }))
}

fn revision(row: &Row) -> Result<(TenantId, u64), StorageError> {
    let mut cells = Cells::of("tenants", row);
    Ok((cells.parsed()?, cells.number()?))
}
