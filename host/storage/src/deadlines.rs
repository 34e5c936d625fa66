//! When attempts are asked again: rows, which any node claims.
//!
//! Who finds one due claims it in the transaction of the step that it leads to; of several claims one succeeds.

use switchhook_core::row::Deadline;
use switchhook_protocol::{id::TenantId, time::Timestamp};

use crate::{
    cells::{Cells, millis},
    dialect::{Query, Row},
    error::StorageError,
    lifecycle::Storage,
    transaction::Transaction,
};

const PUT: &str = "INSERT INTO deadlines (tenant, attempt, due_at) VALUES ($1, $2, $3) \
     ON CONFLICT (tenant, attempt) DO UPDATE SET due_at = excluded.due_at";
const DUE: &str = "SELECT attempt, due_at, tenant FROM deadlines \
     WHERE due_at <= $1 ORDER BY due_at LIMIT CAST($2 AS BIGINT)";
const NEXT_DUE: &str = "SELECT attempt, due_at FROM deadlines ORDER BY due_at LIMIT 1";
const CLAIM: &str = "DELETE FROM deadlines WHERE tenant = $1 AND attempt = $2 AND due_at = $3";
const PUT_OFF: &str = "UPDATE deadlines SET due_at = $4 WHERE tenant = $1 AND attempt = $2 AND due_at = $3";

/// A deadline that is over.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DueDeadline {
    /// Whose.
    pub tenant: TenantId,
    /// Which attempt, and when it was due.
    pub deadline: Deadline,
}

impl Storage {
    /// Deadlines that are over, the longest over first, at most so many.
    pub async fn due_deadlines(&self, now: Timestamp, limit: u32) -> Result<Vec<DueDeadline>, StorageError> {
        self.all(Query::from(DUE).bind(millis(now)).bind(limit), |row| {
            let mut cells = Cells::of("deadlines", row);
            let deadline = Deadline { attempt: cells.parsed()?, due_at: cells.timestamp()? };
            Ok(DueDeadline { tenant: cells.parsed()?, deadline })
        })
        .await
    }

    /// When the next deadline is over.
    pub async fn next_deadline(&self) -> Result<Option<Timestamp>, StorageError> {
        let decode = |row: &Row| {
            let mut cells = Cells::of("deadlines", row);
            cells.text()?;
            cells.timestamp()
        };
        self.one(Query::from(NEXT_DUE), decode).await
    }
}

impl Transaction<'_> {
    /// Sets an attempt's deadline, in place of the former.
    pub async fn put_deadline(&mut self, deadline: &Deadline) -> Result<(), StorageError> {
        let query = keyed(PUT, self.tenant(), deadline);
        self.write(query).await.map(drop)
    }

    /// Takes a deadline for oneself; false if it was claimed, or set anew.
    pub async fn claim_deadline(&mut self, deadline: &Deadline) -> Result<bool, StorageError> {
        let query = keyed(CLAIM, self.tenant(), deadline);
        Ok(self.write(query).await? > 0)
    }

    /// Puts a deadline off that the attempt could not be told of, unless it was claimed or set anew.
    pub async fn put_off_deadline(
        &mut self,
        deadline: &Deadline,
        until: Timestamp,
    ) -> Result<(), StorageError> {
        let query = keyed(PUT_OFF, self.tenant(), deadline).bind(millis(until));
        self.write(query).await.map(drop)
    }
}

fn keyed(statement: &'static str, tenant: &str, deadline: &Deadline) -> Query {
    Query::from(statement)
        .bind(tenant.to_owned())
        .bind(deadline.attempt.as_str().to_owned())
        .bind(millis(deadline.due_at))
}
