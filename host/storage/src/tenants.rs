//! Tenants and their settings.

use switchhook_protocol::{id::TenantId, time::Timestamp};

use crate::{
    cells::{Cells, millis},
    dialect::{Query, Row},
    error::StorageError,
    lifecycle::{Storage, TenantStorage},
    transaction::Transaction,
};

const CREATE: &str =
    "INSERT INTO tenants (tenant, created_at) VALUES ($1, $2) ON CONFLICT (tenant) DO NOTHING";
const EXISTS: &str = "SELECT tenant FROM tenants WHERE tenant = $1";
const LIST: &str = "SELECT tenant FROM tenants ORDER BY tenant";
const SETTINGS: &str = "SELECT settings FROM tenants WHERE tenant = $1";
const ALL_SETTINGS: &str = "SELECT tenant, settings FROM tenants ORDER BY tenant";
const SET_SETTINGS: &str = "UPDATE tenants SET settings = $2 WHERE tenant = $1";

/// The tenants.
#[derive(Debug)]
pub struct Tenants<'a>(&'a Storage);

impl Storage {
    /// The tenants.
    pub const fn tenants(&self) -> Tenants<'_> {
        Tenants(self)
    }
}

impl Tenants<'_> {
    /// Makes a tenant; says whether it is new.
    pub async fn create(&self, tenant: &TenantId, now: Timestamp) -> Result<bool, StorageError> {
        let query = Query::from(CREATE).bind(tenant.as_str().to_owned()).bind(millis(now));
        let made = self.0.run("create-tenant", async move |tx| tx.write(query).await).await?;
        Ok(made > 0)
    }

    /// Whether it exists.
    pub async fn exists(&self, tenant: &TenantId) -> Result<bool, StorageError> {
        let query = Query::from(EXISTS).bind(tenant.as_str().to_owned());
        Ok(self.0.one(query, |_| Ok(())).await?.is_some())
    }

    /// The settings of all, as JSON.
    pub async fn settings(&self) -> Result<Vec<(TenantId, String)>, StorageError> {
        let decode = |row: &Row| {
            let mut cells = Cells::of("tenants", row);
            Ok((cells.parsed()?, cells.text()?))
        };
        self.0.all(Query::from(ALL_SETTINGS), decode).await
    }

    /// All, in the order of their ids.
    pub async fn list(&self) -> Result<Vec<TenantId>, StorageError> {
        self.0.all(Query::from(LIST), |row| Cells::of("tenants", row).parsed()).await
    }
}

impl TenantStorage {
    /// The tenant's settings as JSON; `{}` until they are set. None if there is no such tenant.
    pub async fn settings(&self) -> Result<Option<String>, StorageError> {
        let query = Query::from(SETTINGS).bind(self.tenant().as_str().to_owned());
        self.storage().one(query, |row| Cells::of("tenants", row).text()).await
    }
}

impl Transaction<'_> {
    /// The tenant's settings as JSON.
    pub async fn settings(&mut self) -> Result<Option<String>, StorageError> {
        let query = Query::from(SETTINGS).bind(self.tenant().to_owned());
        self.one(query, |row| Cells::of("tenants", row).text()).await
    }

    /// Replaces the tenant's settings.
    pub async fn set_settings(&mut self, settings: &str) -> Result<(), StorageError> {
        let query = Query::from(SET_SETTINGS).bind(self.tenant().to_owned()).bind(settings.to_owned());
        self.write(query).await.map(drop)
    }
}
