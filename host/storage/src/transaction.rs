//! A closure's view of its transaction.
//!
//! Reads see what earlier jobs of the group and the closure itself have written. The typed methods
//! stand with their aggregates (`sessions.rs`, `attempts.rs` …).

use std::fmt;

use switchhook_core::row::Write;

use crate::{
    batch::{self, Change, Committed, Part},
    dialect::{Connection, Query, Row, Statement},
    error::StorageError,
    lifecycle::Clock,
};

/// A transaction of one tenant, open inside the writer's group.
///
/// A write that fails ends it: whatever the closure returns, nothing of it is kept.
pub struct Transaction<'c> {
    connection: &'c mut Connection,
    tenant: &'c str,
    clock: &'c Clock,
    failure: Option<StorageError>,
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

impl<'c> Transaction<'c> {
    /// A tenant's view of an open savepoint.
    pub(crate) const fn new(connection: &'c mut Connection, tenant: &'c str, clock: &'c Clock) -> Self {
        Self { connection, tenant, clock, failure: None }
    }

    /// Makes typed writes. A refusal (no such device) has written nothing.
    pub async fn apply(&mut self, writes: Vec<Write>) -> Result<Committed, StorageError> {
        let changes: Vec<Change> = writes.into_iter().map(Change::Write).collect();
        self.change(&changes).await
    }

    /// Makes typed changes.
    pub(crate) async fn change(&mut self, changes: &[Change]) -> Result<Committed, StorageError> {
        let part = Part { tenant: self.tenant, changes };
        let clock = self.clock;
        let applied = batch::apply(self.connection, &[part], || clock.now()).await;
        let mut answers = self.note(applied)?;
        answers.pop().unwrap_or(Err(StorageError::Abandoned))
    }

    /// The failed write that ended it.
    pub(crate) fn failure(&self) -> Option<StorageError> {
        self.failure.clone()
    }

    /// Whose it is.
    pub(crate) const fn tenant(&self) -> &'c str {
        self.tenant
    }

    /// Writes; says how many rows changed.
    pub(crate) async fn write(&mut self, query: Query) -> Result<u64, StorageError> {
        let written = self.connection.execute(query).await.map_err(StorageError::from);
        self.note(written)
    }

    /// Runs a batch's statement for many rows.
    pub(crate) async fn many<R: serde::Serialize + Sync>(
        &mut self,
        statement: Statement,
        rows: &[R],
    ) -> Result<(), StorageError> {
        let written = batch::run_many(self.connection, statement, rows).await;
        self.note(written)
    }

    /// Reads one row, or none.
    pub(crate) async fn one<T>(
        &mut self,
        query: Query,
        decode: impl Fn(&Row) -> Result<T, StorageError>,
    ) -> Result<Option<T>, StorageError> {
        let row = self.connection.fetch_optional(query).await.map_err(StorageError::from);
        self.note(row)?.as_ref().map(decode).transpose()
    }

    /// Reads rows.
    pub(crate) async fn all<T>(
        &mut self,
        query: Query,
        decode: impl Fn(&Row) -> Result<T, StorageError>,
    ) -> Result<Vec<T>, StorageError> {
        let rows = self.connection.fetch_all(query).await.map_err(StorageError::from);
        self.note(rows)?.iter().map(decode).collect()
    }

    /// Notes in their mailboxes which messages a statement deleted.
    pub(crate) async fn lose(&mut self, deleted: &[(String, String, u64)]) -> Result<(), StorageError> {
        let lost = batch::lose(self.connection, deleted.iter().cloned().map(Ok)).await;
        self.note(lost)
    }

    fn note<T>(&mut self, result: Result<T, StorageError>) -> Result<T, StorageError> {
        if let Err(error) = &result {
            self.failure.get_or_insert_with(|| error.clone());
        }
        result
    }
}
