//! Connections and rows of either driver.

use std::collections::BTreeSet;

use sqlx::{
    Connection as _, Database, Decode, PgConnection, PgPool, Postgres, Row as _, Sqlite, SqliteConnection,
    SqlitePool, Type,
};

use super::{BEGIN, Query, Script, Statement, turns};

/// One connection.
#[derive(Debug)]
pub(crate) enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// Connections beside the writer's.
#[derive(Debug, Clone)]
pub(crate) enum Pool {
    Sqlite(SqlitePool),
    Postgres {
        readers: PgPool,
        /// The one by which a node says that it lives.
        apart: PgPool,
    },
}

/// A row of an answer.
pub(crate) enum Row {
    Sqlite(sqlx::sqlite::SqliteRow),
    Postgres(sqlx::postgres::PgRow),
}

impl Connection {
    /// Begins a group's transaction: nobody else writes to these tenants until it ends. An empty name
    /// stands for the host's own, which is all of them.
    pub(crate) async fn begin(&mut self, tenants: &BTreeSet<&str>) -> Result<(), sqlx::Error> {
        self.say(BEGIN).await?;
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(connection) => turns::take(connection, tenants).await,
        }
    }

    /// Commits it.
    pub(crate) async fn commit(&mut self) -> Result<(), sqlx::Error> {
        self.say("COMMIT".into()).await
    }

    /// Begins a savepoint inside it.
    pub(crate) async fn savepoint(&mut self) -> Result<(), sqlx::Error> {
        self.say("SAVEPOINT job".into()).await
    }

    /// Keeps what was done since the savepoint.
    pub(crate) async fn keep(&mut self) -> Result<(), sqlx::Error> {
        self.say("RELEASE SAVEPOINT job".into()).await
    }

    /// Undoes what was done since the savepoint.
    pub(crate) async fn undo(&mut self) -> Result<(), sqlx::Error> {
        self.say("ROLLBACK TO SAVEPOINT job; RELEASE SAVEPOINT job".into()).await
    }

    async fn say(&mut self, statement: Statement) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(connection) => sqlx::query(statement.sqlite).execute(connection).await.map(drop),
            // Not prepared: in a transaction that has failed PostgreSQL would not prepare its undoing.
            Self::Postgres(connection) => {
                sqlx::raw_sql(statement.postgres).execute(connection).await.map(drop)
            }
        }
    }

    /// Says how many rows changed.
    pub(crate) async fn execute(&mut self, query: Query) -> Result<u64, sqlx::Error> {
        match self {
            Self::Sqlite(connection) => Ok(query.sqlite().execute(connection).await?.rows_affected()),
            Self::Postgres(connection) => Ok(query.postgres().execute(connection).await?.rows_affected()),
        }
    }

    /// Stops at the first that fails.
    pub(crate) async fn execute_all(&mut self, script: Script) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(connection) => {
                if let Some(all) = script.sqlite() {
                    all.execute(connection).await?;
                }
            }
            Self::Postgres(connection) => {
                for query in script.postgres() {
                    query.execute(&mut *connection).await?;
                }
            }
        }
        Ok(())
    }

    pub(crate) async fn fetch_optional(&mut self, query: Query) -> Result<Option<Row>, sqlx::Error> {
        match self {
            Self::Sqlite(connection) => Ok(query.sqlite().fetch_optional(connection).await?.map(Row::Sqlite)),
            Self::Postgres(connection) => {
                Ok(query.postgres().fetch_optional(connection).await?.map(Row::Postgres))
            }
        }
    }

    pub(crate) async fn fetch_all(&mut self, query: Query) -> Result<Vec<Row>, sqlx::Error> {
        match self {
            Self::Sqlite(connection) => Ok(rows(query.sqlite().fetch_all(connection).await?, Row::Sqlite)),
            Self::Postgres(connection) => {
                Ok(rows(query.postgres().fetch_all(connection).await?, Row::Postgres))
            }
        }
    }

    /// Closes it; an open transaction is undone.
    pub(crate) async fn close(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(connection) => connection.close().await,
            Self::Postgres(connection) => connection.close().await,
        }
    }
}

impl Pool {
    pub(crate) async fn fetch_optional(&self, query: Query) -> Result<Option<Row>, sqlx::Error> {
        match self {
            Self::Sqlite(pool) => Ok(query.sqlite().fetch_optional(pool).await?.map(Row::Sqlite)),
            Self::Postgres { readers, .. } => {
                Ok(query.postgres().fetch_optional(readers).await?.map(Row::Postgres))
            }
        }
    }

    pub(crate) async fn fetch_all(&self, query: Query) -> Result<Vec<Row>, sqlx::Error> {
        match self {
            Self::Sqlite(pool) => Ok(rows(query.sqlite().fetch_all(pool).await?, Row::Sqlite)),
            Self::Postgres { readers, .. } => {
                Ok(rows(query.postgres().fetch_all(readers).await?, Row::Postgres))
            }
        }
    }

    /// Whether other processes use the same database.
    pub(crate) const fn is_shared(&self) -> bool {
        matches!(self, Self::Postgres { .. })
    }

    /// Tells other processes, if there may be any: beside the writer, without a turn, in rows that no transaction of
    /// a tenant touches.
    pub(crate) async fn execute_apart(&self, query: Query) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres { apart, .. } => query.postgres().execute(apart).await.map(drop),
        }
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres { readers, apart } => {
                readers.close().await;
                apart.close().await;
            }
        }
    }
}

impl Row {
    /// The cell in this column.
    pub(crate) fn cell<T: Cell>(&self, column: usize) -> Result<T, sqlx::Error> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }
}

/// What both drivers find in a cell.
pub(crate) trait Cell: OfDriver<Sqlite> + OfDriver<Postgres> {}

impl<T: OfDriver<Sqlite> + OfDriver<Postgres>> Cell for T {}

/// What a driver finds in a cell.
pub(crate) trait OfDriver<D: Database>: Type<D> + for<'r> Decode<'r, D> {}

impl<D: Database, T: Type<D> + for<'r> Decode<'r, D>> OfDriver<D> for T {}

fn rows<R>(rows: Vec<R>, of: fn(R) -> Row) -> Vec<Row> {
    rows.into_iter().map(of).collect()
}
