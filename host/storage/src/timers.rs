//! What is to be done later: rows, which any node claims.
//!
//! Armed by typed writes. Who finds a timer due claims it in the transaction that does what it says;
//! of several claims one succeeds.

use switchhook_core::row::Timer;
use switchhook_protocol::{id::TenantId, time::Timestamp};

use crate::{
    cells::{Cells, millis},
    dialect::{Query, Row},
    error::StorageError,
    lifecycle::Storage,
    transaction::Transaction,
    words,
};

const DUE: &str = "SELECT session, kind, number, due_at, tenant FROM timers WHERE due_at <= $1 ORDER BY due_at LIMIT CAST($2 AS BIGINT)";
const NEXT_DUE: &str = "SELECT session, due_at FROM timers ORDER BY due_at LIMIT 1";
const CLAIM: &str = "DELETE FROM timers \
     WHERE tenant = $1 AND session = $2 AND kind = $3 AND number = $4 AND due_at = $5";

/// The timers of all tenants.
#[derive(Debug)]
pub struct Timers<'a>(&'a Storage);

impl Storage {
    /// The timers of all tenants.
    pub const fn timers(&self) -> Timers<'_> {
        Timers(self)
    }
}

impl Timers<'_> {
    /// Those that are due, the longest due first, at most so many.
    pub async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<(TenantId, Timer)>, StorageError> {
        self.0.all(Query::from(DUE).bind(millis(now)).bind(limit), decode).await
    }

    /// When the next one is due.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, StorageError> {
        let decode = |row: &Row| {
            let mut cells = Cells::of("timers", row);
            cells.text()?;
            cells.timestamp()
        };
        self.0.one(Query::from(NEXT_DUE), decode).await
    }
}

impl Transaction<'_> {
    /// Takes a timer for oneself; false if it was claimed, disarmed or armed anew.
    pub async fn claim_timer(&mut self, timer: &Timer) -> Result<bool, StorageError> {
        let (kind, number) = words::of_timer(timer.kind);
        let query = Query::from(CLAIM)
            .bind(self.tenant().to_owned())
            .bind(timer.session.as_str().to_owned())
            .bind(kind)
            .bind(i64::from(number))
            .bind(millis(timer.due_at));
        Ok(self.write(query).await? > 0)
    }
}

fn decode(row: &Row) -> Result<(TenantId, Timer), StorageError> {
    let mut cells = Cells::of("timers", row);
    let session = cells.parsed()?;
    let (kind, number) = (cells.text()?, cells.number()?);
    let Some(kind) = words::timer_of(&kind, number) else { return cells.corrupt() };
    let due_at = cells.timestamp()?;
    Ok((cells.parsed()?, Timer { session, kind, due_at }))
}
