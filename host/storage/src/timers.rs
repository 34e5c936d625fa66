//! What is to be done later: rows, which any node claims.
//!
//! Armed by typed writes. Who finds a timer due claims it in the transaction that does what it says;
//! of several claims one succeeds. One that could not be fired is put off, so that it stands behind the others.

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

const DUE: &str = "SELECT session, kind, number, due_at, tenant, tries FROM timers \
     WHERE due_at <= $1 ORDER BY due_at LIMIT CAST($2 AS BIGINT)";
const NEXT_DUE: &str = "SELECT session, due_at FROM timers ORDER BY due_at LIMIT 1";
const CLAIM: &str = "DELETE FROM timers \
     WHERE tenant = $1 AND session = $2 AND kind = $3 AND number = $4 AND due_at = $5";
const PUT_OFF: &str = "UPDATE timers SET due_at = $6, tries = tries + 1 \
     WHERE tenant = $1 AND session = $2 AND kind = $3 AND number = $4 AND due_at = $5";

/// A timer whose time has come.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DueTimer {
    /// Whose.
    pub tenant: TenantId,
    /// What is to be done.
    pub timer: Timer,
    /// How often it could not be fired.
    pub tries: u32,
}

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
    pub async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<DueTimer>, StorageError> {
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
        let query = keyed(CLAIM, self.tenant(), timer);
        Ok(self.write(query).await? > 0)
    }

    /// Puts a timer off that could not be fired, unless it was claimed, disarmed or armed anew.
    pub async fn put_off_timer(&mut self, timer: &Timer, until: Timestamp) -> Result<(), StorageError> {
        let query = keyed(PUT_OFF, self.tenant(), timer).bind(millis(until));
        self.write(query).await.map(drop)
    }
}

fn keyed(statement: &'static str, tenant: &str, timer: &Timer) -> Query {
    let (kind, number) = words::of_timer(timer.kind);
    Query::from(statement)
        .bind(tenant.to_owned())
        .bind(timer.session.as_str().to_owned())
        .bind(kind)
        .bind(i64::from(number))
        .bind(millis(timer.due_at))
}

fn decode(row: &Row) -> Result<DueTimer, StorageError> {
    let mut cells = Cells::of("timers", row);
    let session = cells.parsed()?;
    let (kind, number) = (cells.text()?, cells.number()?);
    let Some(kind) = words::timer_of(&kind, number) else { return cells.corrupt() };
    let timer = Timer { session, kind, due_at: cells.timestamp()? };
    Ok(DueTimer { tenant: cells.parsed()?, timer, tries: cells.number()? })
}
