//! How direct paths between pairs of networks have fared, by day: what NAT policies learn from (NAT-3).
//!
//! A pair is a name that the host makes of both networks' keyed hashes; no row holds an address.

use switchhook_core::policy::nat::Outcomes;
use switchhook_protocol::{
    id::SessionId,
    time::{Timestamp, millis},
};

use crate::{
    cells::{Cells, integer},
    dialect::Query,
    error::StorageError,
    lifecycle::TenantStorage,
    limits,
    transaction::Transaction,
};

const COUNT: &str = "INSERT INTO path_outcomes (tenant, networks, day, worked, failed) \
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant, networks, day) DO UPDATE \
     SET worked = path_outcomes.worked + excluded.worked, failed = path_outcomes.failed + excluded.failed";
const TEACH: &str = "UPDATE sessions SET taught = 1 WHERE tenant = $1 AND session = $2 AND taught = 0";
const LATELY: &str = "SELECT CAST(COALESCE(SUM(worked), 0) AS BIGINT), CAST(COALESCE(SUM(failed), 0) AS BIGINT) \
     FROM path_outcomes WHERE tenant = $1 AND networks = $2 AND day >= $3";

impl TenantStorage {
    /// How direct paths between two networks have fared in the last [`limits::PATHS`] days.
    pub async fn outcomes(&self, networks: &str, now: Timestamp) -> Result<Outcomes, StorageError> {
        let since = day(now).saturating_sub(limits::PATHS);
        let query = Query::from(LATELY)
            .bind(self.tenant().as_str().to_owned())
            .bind(networks.to_owned())
            .bind(integer(since));
        let sums = self.storage().one(query, |row| {
            let mut cells = Cells::of("path_outcomes", row);
            Ok(Outcomes { direct_worked: cells.number()?, direct_failed: cells.number()? })
        });
        Ok(sums.await?.unwrap_or_default())
    }
}

impl Transaction<'_> {
    /// Counts one session whose direct path worked, or did not: by its first report, as a path comes and goes.
    pub async fn count_path(
        &mut self,
        session: &SessionId,
        (networks, worked): (&str, bool),
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let teach = Query::from(TEACH).bind(self.tenant().to_owned()).bind(session.as_str().to_owned());
        if self.write(teach).await? == 0 {
            return Ok(());
        }
        let query = Query::from(COUNT)
            .bind(self.tenant().to_owned())
            .bind(networks.to_owned())
            .bind(integer(day(now)))
            .bind(i64::from(worked))
            .bind(i64::from(!worked));
        self.write(query).await.map(drop)
    }
}

/// Days since 1970.
pub(crate) fn day(at: Timestamp) -> u64 {
    at.as_millis() / millis(std::time::Duration::from_hours(24))
}
