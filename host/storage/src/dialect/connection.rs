//! Connections and rows of either driver.

use std::collections::BTreeSet;

use rusqlite::types::FromSql;
use sqlx::{
    Connection as _, Decode, PgConnection, PgPool, Postgres, Row as _, Type, pool::PoolConnection,
    postgres::PgRow,
};
use tokio::time::{error::Elapsed, timeout};

use super::{
    BEGIN, Query, Script, Statement, postgres,
    sqlite::{Readers, SqliteConnection, SqliteRow},
    turns,
};
use crate::{error::DriverError, limits};

/// One connection.
#[derive(Debug)]
pub(crate) enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// Connections beside the writer's.
#[derive(Debug, Clone)]
pub(crate) enum Pool {
    Sqlite(Readers),
    Postgres {
        readers: PgPool,
        /// The one by which a node says that it lives.
        apart: PgPool,
    },
}

/// A row of an answer.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Connection {
    /// Begins a group's transaction: nobody else writes to these tenants until it ends. An empty name
    /// stands for the host's own, which is all of them.
    pub(crate) async fn begin(&mut self, tenants: &BTreeSet<&str>) -> Result<(), DriverError> {
        self.say(BEGIN).await?;
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(connection) => turns::take(connection, tenants).await,
        }
    }

    /// Commits it.
    pub(crate) async fn commit(&mut self) -> Result<(), DriverError> {
        self.say("COMMIT".into()).await
    }

    /// Begins a savepoint inside it.
    pub(crate) async fn savepoint(&mut self) -> Result<(), DriverError> {
        self.say("SAVEPOINT job".into()).await
    }

    /// Keeps what was done since the savepoint.
    pub(crate) async fn keep(&mut self) -> Result<(), DriverError> {
        self.say("RELEASE SAVEPOINT job".into()).await
    }

    /// Undoes what was done since the savepoint.
    pub(crate) async fn undo(&mut self) -> Result<(), DriverError> {
        self.say("ROLLBACK TO SAVEPOINT job".into()).await?;
        self.keep().await
    }

    async fn say(&mut self, statement: Statement) -> Result<(), DriverError> {
        match self {
            Self::Sqlite(connection) => connection.execute(&Query::from(statement)).map(drop),
            // Not prepared: in a transaction that has failed PostgreSQL would not prepare its undoing.
            Self::Postgres(connection) => {
                sqlx::raw_sql(statement.postgres).execute(connection).await?;
                Ok(())
            }
        }
    }

    /// Says how many rows changed.
    pub(crate) async fn execute(&mut self, query: Query) -> Result<u64, DriverError> {
        match self {
            Self::Sqlite(connection) => connection.execute(&query),
            Self::Postgres(connection) => Ok(query.postgres().execute(connection).await?.rows_affected()),
        }
    }

    /// Stops at the first that fails.
    pub(crate) async fn execute_all(&mut self, script: Script) -> Result<(), DriverError> {
        for query in script {
            self.execute(query).await?;
        }
        Ok(())
    }

    pub(crate) async fn fetch_optional(&mut self, query: Query) -> Result<Option<Row>, DriverError> {
        match self {
            Self::Sqlite(connection) => Ok(connection.fetch_optional(&query)?.map(Row::Sqlite)),
            Self::Postgres(connection) => {
                Ok(query.postgres().fetch_optional(connection).await?.map(Row::Postgres))
            }
        }
    }

    pub(crate) async fn fetch_all(&mut self, query: Query) -> Result<Vec<Row>, DriverError> {
        match self {
            Self::Sqlite(connection) => Ok(rows(connection.fetch_all(&query)?, Row::Sqlite)),
            Self::Postgres(connection) => {
                Ok(rows(query.postgres().fetch_all(connection).await?, Row::Postgres))
            }
        }
    }

    /// Closes it; an open transaction is undone.
    pub(crate) async fn close(self) -> Result<(), DriverError> {
        match self {
            Self::Sqlite(connection) => connection.close(),
            Self::Postgres(connection) => Ok(connection.close().await?),
        }
    }
}

impl Pool {
    pub(crate) async fn fetch_optional(&self, query: Query) -> Result<Option<Row>, DriverError> {
        match self {
            Self::Sqlite(readers) => {
                Ok(readers.read(|reader| reader.fetch_optional(&query))?.map(Row::Sqlite))
            }
            Self::Postgres { readers, .. } => {
                // Boxed, as the driver's own future was: it stands in that of every flow.
                let reading = Box::pin(async {
                    let mut connection = readers.acquire().await?;
                    let asked = query.postgres().fetch_optional(&mut *connection);
                    let answer = timeout(limits::ANSWER, asked).await;
                    answered(answer, connection)
                });
                Ok(reading.await?.map(Row::Postgres))
            }
        }
    }

    pub(crate) async fn fetch_all(&self, query: Query) -> Result<Vec<Row>, DriverError> {
        match self {
            Self::Sqlite(readers) => Ok(rows(readers.read(|reader| reader.fetch_all(&query))?, Row::Sqlite)),
            Self::Postgres { readers, .. } => {
                let reading = Box::pin(async {
                    let mut connection = readers.acquire().await?;
                    let asked = query.postgres().fetch_all(&mut *connection);
                    let answer = timeout(limits::ANSWER, asked).await;
                    answered(answer, connection)
                });
                Ok(rows(reading.await?, Row::Postgres))
            }
        }
    }

    /// Whether the database answers.
    pub(crate) async fn ping(&self) -> Result<(), DriverError> {
        match self {
            Self::Sqlite(_) => self.fetch_optional("SELECT 1".into()).await.map(drop),
            Self::Postgres { readers, .. } => {
                let mut connection =
                    timeout(limits::PING, readers.acquire()).await.or(Err(DriverError::Late))??;
                let answer = timeout(limits::PING, connection.ping()).await;
                answered(answer, connection)
            }
        }
    }

    /// The same, of all that a tenant has: it may take long, and nobody else waits meanwhile.
    pub(crate) async fn fetch_all_at_leisure(&self, query: Query) -> Result<Vec<Row>, DriverError> {
        match self {
            Self::Sqlite(readers) => {
                let read = readers.read_at_leisure(move |reader| reader.fetch_all(&query));
                Ok(rows(read.await?, Row::Sqlite))
            }
            Self::Postgres { readers, .. } => {
                let reading = Box::pin(async {
                    let mut connection = readers.acquire().await?;
                    let asked = read_at_leisure(&mut connection, query);
                    let answer = timeout(limits::ANSWER_AT_LEISURE, asked).await;
                    answered(answer, connection)
                });
                Ok(rows(reading.await?, Row::Postgres))
            }
        }
    }

    /// Whether other processes use the same database.
    pub(crate) const fn is_shared(&self) -> bool {
        matches!(self, Self::Postgres { .. })
    }

    /// Tells other processes, if there may be any: beside the writer, without a turn, in rows that no transaction of
    /// a tenant touches.
    pub(crate) async fn execute_apart(&self, query: Query) -> Result<(), DriverError> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres { apart, .. } => {
                let telling = Box::pin(async {
                    let mut connection = apart.acquire().await?;
                    let asked = query.postgres().execute(&mut *connection);
                    let answer = timeout(limits::BEAT * 2, asked).await;
                    answered(answer, connection).map(drop)
                });
                telling.await
            }
        }
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(readers) => readers.close(),
            Self::Postgres { readers, apart } => {
                readers.close().await;
                apart.close().await;
            }
        }
    }
}

impl Row {
    /// The cell in this column.
    pub(crate) fn cell<T: Cell>(&self, column: usize) -> Result<T, DriverError> {
        match self {
            Self::Sqlite(row) => row.cell(column),
            Self::Postgres(row) => Ok(row.try_get(column)?),
        }
    }

    /// The text in this column, where it is.
    pub(crate) fn text(&self, column: usize) -> Result<&str, DriverError> {
        match self {
            Self::Sqlite(row) => row.text(column),
            Self::Postgres(row) => Ok(row.try_get(column)?),
        }
    }
}

/// What both drivers find in a cell.
pub(crate) trait Cell: FromSql + Type<Postgres> + for<'r> Decode<'r, Postgres> {}

impl<T: FromSql + Type<Postgres> + for<'r> Decode<'r, Postgres>> Cell for T {}

/// Reads in a transaction of its own: what it is allowed ends with that.
async fn read_at_leisure(connection: &mut PgConnection, query: Query) -> sqlx::Result<Vec<PgRow>> {
    let mut reading = connection.begin().await?;
    sqlx::raw_sql(postgres::AT_LEISURE).execute(&mut *reading).await?;
    let found = query.postgres().fetch_all(&mut *reading).await?;
    reading.commit().await?;
    Ok(found)
}

/// What was answered in time. A connection on which nothing was is given up: whoever had it next would wait for the same.
fn answered<T>(
    answer: Result<sqlx::Result<T>, Elapsed>,
    connection: PoolConnection<Postgres>,
) -> Result<T, DriverError> {
    let Ok(answer) = answer else {
        drop(connection.detach());
        return Err(DriverError::Late);
    };
    Ok(answer?)
}

fn rows<R>(rows: Vec<R>, of: fn(R) -> Row) -> Vec<Row> {
    rows.into_iter().map(of).collect()
}
