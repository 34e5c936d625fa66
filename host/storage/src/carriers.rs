//! The carrier bundle of a tenant (REG-15).

use switchhook_protocol::carrier::{Carrier, CarrierBundle};

use crate::{
    cells::Cells,
    dialect::{Query, Row},
    error::StorageError,
    lifecycle::TenantStorage,
    transaction::Transaction,
};

const GET: &str = "SELECT tenant, version, carriers FROM carrier_bundles WHERE tenant = $1";
const PUT: &str = "INSERT INTO carrier_bundles (tenant, version, carriers) VALUES ($1, 1, $2) \
     ON CONFLICT (tenant) DO UPDATE \
     SET version = carrier_bundles.version + 1, carriers = excluded.carriers \
     RETURNING tenant, version, carriers";

impl TenantStorage {
    /// The bundle; an empty one of version 0 if there is none.
    pub async fn carriers(&self) -> Result<CarrierBundle, StorageError> {
        let query = Query::from(GET).bind(self.tenant().as_str().to_owned());
        Ok(self.storage().one(query, decode).await?.unwrap_or_default())
    }
}

impl Transaction<'_> {
    /// Sets the bundle's entries, and gives it with its new version.
    pub async fn put_carriers(&mut self, carriers: &[Carrier]) -> Result<CarrierBundle, StorageError> {
        let json = serde_json::to_string(carriers).unwrap_or_default();
        let query = Query::from(PUT).bind(self.tenant().to_owned()).bind(json);
        Ok(self.one(query, decode).await?.unwrap_or_default())
    }
}

fn decode(row: &Row) -> Result<CarrierBundle, StorageError> {
    let mut cells = Cells::of("carrier_bundles", row);
    cells.text()?;
    let version = cells.number()?;
    let carriers = cells.text()?;
    Ok(CarrierBundle { version, carriers: serde_json::from_str(&carriers).or_else(|_| cells.corrupt())? })
}
