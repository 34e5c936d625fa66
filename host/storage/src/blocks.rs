//! Block lists: by whom a user does not want to be rung, one list an identifier.

use switchhook_protocol::{endpoint::EndpointId, time::Timestamp};

use crate::{
    cells::{Cells, millis},
    dialect::{Query, Row},
    error::StorageError,
    lifecycle::TenantStorage,
    limits,
    transaction::Transaction,
};

const OF: &str = "SELECT who FROM blocks WHERE tenant = $1 AND endpoint = $2 ORDER BY who";
const COUNT: &str = "SELECT count(*) FROM blocks WHERE tenant = $1 AND endpoint = $2 AND who <> $3";
const BLOCK: &str = "INSERT INTO blocks (tenant, endpoint, who, at) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (tenant, endpoint, who) DO NOTHING";
const UNBLOCK: &str = "DELETE FROM blocks WHERE tenant = $1 AND endpoint = $2 AND who = $3";

/// The block lists of a tenant.
#[derive(Debug)]
pub struct Blocks<'a>(&'a TenantStorage);

impl TenantStorage {
    /// The block lists.
    pub const fn blocks(&self) -> Blocks<'_> {
        Blocks(self)
    }
}

impl Blocks<'_> {
    /// Whom an identifier has blocked; at most [`limits::BLOCKED`].
    pub async fn of(&self, endpoint: &EndpointId) -> Result<Vec<EndpointId>, StorageError> {
        let query =
            Query::from(OF).bind(self.0.tenant().as_str().to_owned()).bind(endpoint.reveal().to_owned());
        self.0.storage().all(query, |row: &Row| Cells::of("blocks", row).parsed()).await
    }
}

impl Transaction<'_> {
    /// Puts somebody on the list of an identifier; false if the list is full.
    pub async fn block(
        &mut self,
        endpoint: &EndpointId,
        who: &EndpointId,
        at: Timestamp,
    ) -> Result<bool, StorageError> {
        let others = keyed(COUNT, self.tenant(), endpoint, who);
        let others = self.one(others, |row| Cells::of("blocks", row).number::<u32>()).await?;
        if others.unwrap_or_default() >= limits::BLOCKED {
            return Ok(false);
        }
        self.write(keyed(BLOCK, self.tenant(), endpoint, who).bind(millis(at))).await?;
        Ok(true)
    }

    /// Takes somebody off the list of an identifier.
    pub async fn unblock(&mut self, endpoint: &EndpointId, who: &EndpointId) -> Result<(), StorageError> {
        self.write(keyed(UNBLOCK, self.tenant(), endpoint, who)).await.map(drop)
    }
}

fn keyed(statement: &'static str, tenant: &str, endpoint: &EndpointId, who: &EndpointId) -> Query {
    Query::from(statement)
        .bind(tenant.to_owned())
        .bind(endpoint.reveal().to_owned())
        .bind(who.reveal().to_owned())
}
