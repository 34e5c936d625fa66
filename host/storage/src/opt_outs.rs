//! Numbers whose owners want no texts.

use switchhook_protocol::{endpoint::EndpointId, time::Timestamp};

use crate::{
    cells::{Cells, millis},
    dialect::Query,
    error::StorageError,
    lifecycle::TenantStorage,
    transaction::Transaction,
};

const PUT: &str = "INSERT INTO opt_outs (tenant, number, since) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
const REMOVE: &str = "DELETE FROM opt_outs WHERE tenant = $1 AND number = $2";
const GET: &str = "SELECT number FROM opt_outs WHERE tenant = $1 AND number = $2";

impl TenantStorage {
    /// Whether the owner of a number wants no texts.
    pub async fn has_opted_out(&self, number: &EndpointId) -> Result<bool, StorageError> {
        let query = Query::from(GET).bind(self.tenant().as_str().to_owned()).bind(number.reveal().to_owned());
        let found = self.storage().one(query, |row| Cells::of("opt_outs", row).text()).await?;
        Ok(found.is_some())
    }
}

impl Transaction<'_> {
    /// Notes that the owner of a number wants no texts, or wants them again.
    pub async fn opt_out(
        &mut self,
        number: &EndpointId,
        out: bool,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let (tenant, number) = (self.tenant().to_owned(), number.reveal().to_owned());
        let query = if out {
            Query::from(PUT).bind(tenant).bind(number).bind(millis(now))
        } else {
            Query::from(REMOVE).bind(tenant).bind(number)
        };
        self.write(query).await.map(drop)
    }
}
