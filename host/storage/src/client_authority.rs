//! The authority whose certificates a tenant's devices need.

use switchhook_protocol::time::Timestamp;

use crate::{
    cells::{Cells, millis},
    dialect::Query,
    error::StorageError,
    lifecycle::TenantStorage,
    transaction::Transaction,
};

const GET: &str = "SELECT certificates FROM client_authorities WHERE tenant = $1";
const PUT: &str = "INSERT INTO client_authorities (tenant, certificates, set_at) VALUES ($1, $2, $3) \
     ON CONFLICT (tenant) DO UPDATE SET certificates = excluded.certificates, set_at = excluded.set_at";
const REMOVE: &str = "DELETE FROM client_authorities WHERE tenant = $1";

impl TenantStorage {
    /// The authority's certificates, in PEM; none where devices need no certificate.
    pub async fn client_authority(&self) -> Result<Option<String>, StorageError> {
        let query = Query::from(GET).bind(self.tenant().as_str().to_owned());
        self.storage().one(query, |row| Cells::of("client_authorities", row).text()).await
    }
}

impl Transaction<'_> {
    /// Sets the authority, in PEM.
    pub async fn put_client_authority(
        &mut self,
        certificates: &str,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let query = Query::from(PUT).bind(self.tenant().to_owned()).bind(certificates.to_owned());
        self.write(query.bind(millis(now))).await.map(drop)
    }

    /// Removes the authority; says whether there was one.
    pub async fn remove_client_authority(&mut self) -> Result<bool, StorageError> {
        Ok(self.write(Query::from(REMOVE).bind(self.tenant().to_owned())).await? > 0)
    }
}
