//! Credentials that count: the newest of each kind (REG-9).

use switchhook_core::row::IssuedCredentials;
use switchhook_protocol::{
    endpoint::EndpointId,
    id::{DeviceId, ProfileId},
};

use crate::{
    cells::{Cells, millis},
    dialect::{Query, Row},
    error::StorageError,
    lifecycle::TenantStorage,
    transaction::Transaction,
    words::Word as _,
};

const PUT: &str = "INSERT INTO credentials (tenant, profile, device, scope, endpoint, serial, expires_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7) \
     ON CONFLICT (tenant, profile, device, scope, endpoint) DO UPDATE SET serial = excluded.serial, \
         expires_at = excluded.expires_at";
const GET: &str = "SELECT serial FROM credentials \
     WHERE tenant = $1 AND profile = $2 AND device = $3 AND scope = $4 AND endpoint = $5";
const REVOKE: &str = "DELETE FROM credentials WHERE tenant = $1 AND profile = $2";
const REVOKE_OF_DEVICE: &str = "DELETE FROM credentials WHERE tenant = $1 AND device = $2 AND endpoint = $3";
const UNREGISTER: &str =
    "UPDATE address_devices SET registered_at = NULL WHERE tenant = $1 AND device = $2 AND address = $3";

impl TenantStorage {
    /// Whether these are the newest of their kind, and not revoked.
    pub async fn counts(&self, held: &IssuedCredentials) -> Result<bool, StorageError> {
        let query = kind(GET, self.tenant().as_str(), held);
        let newest = self.storage().one(query, serial).await?;
        Ok(newest.is_some_and(|newest| newest == held.serial))
    }
}

impl Transaction<'_> {
    /// Stores credentials; those before them of the same kind count no more.
    pub async fn put_credentials(&mut self, issued: &IssuedCredentials) -> Result<(), StorageError> {
        let query =
            kind(PUT, self.tenant(), issued).bind(issued.serial.clone()).bind(millis(issued.expires_at));
        self.write(query).await.map(drop)
    }

    /// Revokes all credentials of a profile; says how many.
    pub async fn revoke_credentials(&mut self, profile: &ProfileId) -> Result<u64, StorageError> {
        let query = Query::from(REVOKE).bind(self.tenant().to_owned()).bind(profile.as_str().to_owned());
        self.write(query).await
    }

    /// An address is registered to a device no more: the device's credentials for it count no more either.
    pub async fn unregister_address(
        &mut self,
        device: &DeviceId,
        address: &EndpointId,
    ) -> Result<(), StorageError> {
        for statement in [REVOKE_OF_DEVICE, UNREGISTER] {
            let query = Query::from(statement)
                .bind(self.tenant().to_owned())
                .bind(device.as_str().to_owned())
                .bind(address.reveal().to_owned());
            self.write(query).await?;
        }
        Ok(())
    }
}

fn kind(statement: &'static str, tenant: &str, of: &IssuedCredentials) -> Query {
    Query::from(statement)
        .bind(tenant.to_owned())
        .bind(of.profile.as_str().to_owned())
        .bind(of.device.as_str().to_owned())
        .bind(of.scope.word())
        .bind(of.endpoint.as_ref().map_or("", EndpointId::reveal).to_owned())
}

fn serial(row: &Row) -> Result<String, StorageError> {
    Cells::of("credentials", row).text()
}
