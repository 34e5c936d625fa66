//! Several nodes on one PostgreSQL: a tenant's transactions take turns.
//!
//! SQLite has one writer, so what a closure has read is still so when it writes. With several nodes
//! there are several writers, and each takes turns with the others before it does anything: a
//! transaction-level advisory lock for each tenant of its group, held until the commit. Hence the
//! transactions of one tenant are serial over all nodes, and those of different tenants run side by side.
//!
//! - The host's own jobs (sweeping, making a tenant) touch every tenant. A group that
//!   has one takes a lock on the whole alone, and it is the only one that writes meanwhile. Every other
//!   group shares that lock first.
//! - All locks are taken in one statement, those of tenants in the order of their keys: two groups
//!   never wait for each other.
//! - The locks are taken before the first statement, and the isolation level is READ COMMITTED: each
//!   statement sees what was committed before *it* began, so everything that the former holders did
//!   (a lock is released after the commit has become visible). A transaction whose snapshot were taken
//!   with its first statement, the one that waits, would read what was before the wait.
//! - Inside the group a job sees the earlier ones, as on SQLite: it is the same transaction.
//!
//! A node that stops in the middle of a group would hold up others; the database ends its transaction
//! after [`crate::limits::SILENCE`].

use std::collections::BTreeSet;

use sqlx::PgConnection;

use crate::error::DriverError;

/// The whole. Locks with two keys have nothing to do with those with one, which are tenants'.
const WHOLE: &str = "SELECT pg_advisory_xact_lock(1398227784, 0)";

/// Shares the whole, then takes each tenant of a JSON array.
const TENANTS: &str = "SELECT pg_advisory_xact_lock_shared(1398227784, 0) UNION ALL \
     SELECT pg_advisory_xact_lock(key) FROM \
         (SELECT DISTINCT hashtextextended(value, 0) AS key \
          FROM jsonb_array_elements_text(CAST($1 AS jsonb)) AS r ORDER BY key) AS keys";

/// Waits until nobody else writes to these tenants. An empty name stands for all.
pub(super) async fn take(connection: &mut PgConnection, tenants: &BTreeSet<&str>) -> Result<(), DriverError> {
    let locks = if tenants.contains("") {
        sqlx::query(WHOLE)
    } else {
        sqlx::query(TENANTS).bind(serde_json::to_string(tenants)?)
    };
    locks.execute(connection).await?;
    Ok(())
}
