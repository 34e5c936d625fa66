//! Which database, how it is opened, and the writer's way to it.

use std::{collections::BTreeSet, fmt, fs::File, num::NonZeroU32, path::PathBuf, time::Duration};

use sqlx::{ConnectOptions as _, Connection as _, error::DatabaseError, postgres::PgConnectOptions};
use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    dialect::{
        Connection, Pool, Query, postgres,
        sqlite::{self, Place, Readers, Synchronous},
    },
    error::{DriverError, OpenError},
    limits,
};

/// A database.
#[derive(Clone)]
pub enum Database {
    /// A file, of one process.
    Sqlite {
        /// Made if missing, with `-wal`, `-shm` and `.lock` beside it.
        path: PathBuf,
    },
    /// A database that exists, of any number of processes.
    Postgres {
        /// `postgres://user:password@host/database`; `sslmode=verify-full` and its like are understood.
        url: String,
    },
}

/// A URL may have a password.
impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite { path } => f.debug_struct("Sqlite").field("path", path).finish(),
            Self::Postgres { .. } => f.debug_struct("Postgres").finish_non_exhaustive(),
        }
    }
}

/// A file is SQLite's.
impl From<PathBuf> for Database {
    fn from(path: PathBuf) -> Self {
        Self::Sqlite { path }
    }
}

/// A database that is open, its schema up to date.
pub(crate) struct Opened {
    pub(crate) readers: Pool,
    pub(crate) link: Link,
    pub(crate) held: Held,
}

/// What exists while the database is open, and goes after it.
#[derive(Default)]
pub(crate) struct Held {
    _lock: Option<File>,
    _folder: Option<tempfile::TempDir>,
}

impl Held {
    /// A lock, and perhaps the folder of a database that nothing outlives.
    pub(crate) const fn new(lock: File, folder: Option<tempfile::TempDir>) -> Self {
        Self { _lock: Some(lock), _folder: folder }
    }
}

/// The writer's connection, and how it is made anew.
///
/// After a group that was not committed the connection is given up: whatever state it is in, the next group has a
/// whole one.
pub(crate) struct Link {
    way: Way,
    connection: Option<Connection>,
    /// A connection was given up, and none was made since.
    was_lost: bool,
}

enum Way {
    Sqlite(Place),
    Postgres(Box<PgConnectOptions>),
}

impl Database {
    /// Opens it and brings its schema up to date.
    pub(crate) async fn open(self, readers: NonZeroU32) -> Result<Opened, OpenError> {
        match self {
            Self::Sqlite { path } => {
                let held = Held::new(sqlite::lock(&path)?, None);
                open_sqlite(Place::new(path, Synchronous::Full), held).await
            }
            Self::Postgres { url } => open_postgres(postgres::database(&url)?, readers).await,
        }
    }
}

/// Opens SQLite on a file that is locked.
pub(crate) async fn open_sqlite(place: Place, held: Held) -> Result<Opened, OpenError> {
    place.migrate().await?;
    let readers = Pool::Sqlite(Readers::of(place.clone()));
    Ok(Opened { readers, link: Link::new(Way::Sqlite(place), None), held })
}

/// The writer connects by itself, as a connection belongs to the runtime that it was made on.
async fn open_postgres(options: PgConnectOptions, readers: NonZeroU32) -> Result<Opened, OpenError> {
    let mut connection = options.connect().await.map_err(DriverError::from)?;
    let mut migrations = sqlx::migrate!("../../migrations/postgres");
    // During a rollout a node of the former version may start on the schema of the next.
    migrations.set_ignore_missing(true);
    // Nodes that start at once wait for each other here.
    migrations.run(&mut connection).await?;
    connection.close().await.map_err(DriverError::from)?;
    let readers = Pool::Postgres {
        readers: postgres::readers(options.clone(), readers),
        apart: postgres::apart(options.clone()),
    };
    let link = Link::new(Way::Postgres(Box::new(postgres::writer(options))), None);
    Ok(Opened { readers, link, held: Held::default() })
}

impl Link {
    const fn new(way: Way, connection: Option<Connection>) -> Self {
        Self { way, connection, was_lost: false }
    }

    /// Begins a group's transaction (see [`Connection::begin`]). A connection that was lost since the last
    /// group is made anew: nothing was done on it.
    pub(crate) async fn begin(&mut self, tenants: &BTreeSet<&str>) -> Result<&mut Connection, DriverError> {
        let kept = self.connection.is_some();
        match self.connection().await?.begin(tenants).await {
            Err(error) if kept && is_lost(&error) => {
                self.give_up().await;
                self.connection().await?.begin(tenants).await?;
            }
            begun => begun?,
        }
        self.connection().await
    }

    /// The connection; tries for a while to make one if there is none.
    async fn connection(&mut self) -> Result<&mut Connection, DriverError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.way.connect().await?,
        };
        if std::mem::take(&mut self.was_lost) {
            tracing::info!("the writer is connected to the database again");
        }
        Ok(self.connection.insert(connection))
    }

    /// Gives the connection up; the database undoes what was not committed.
    pub(crate) async fn give_up(&mut self) {
        self.was_lost = true;
        // SQLite's is closed before the next one writes; PostgreSQL's may not answer, and its end is noticed.
        if let Some(connection @ Connection::Sqlite(_)) = self.connection.take() {
            drop(connection.close().await);
        }
    }

    /// How long a group may take. SQLite is no further away than the disk.
    pub(crate) const fn group_time(&self) -> Option<Duration> {
        match self.way {
            Way::Sqlite(_) => None,
            Way::Postgres(_) => Some(limits::GROUP_TIME),
        }
    }

    /// Ends it; leaves a SQLite database without a log.
    pub(crate) async fn close(mut self) -> Result<(), DriverError> {
        let Some(mut connection) = self.connection.take() else { return Ok(()) };
        if matches!(connection, Connection::Sqlite(_)) {
            connection.execute(Query::from(sqlite::CHECKPOINT)).await?;
        }
        connection.close().await
    }
}

impl Way {
    /// Tries for a while.
    async fn connect(&self) -> Result<Connection, DriverError> {
        let until = Instant::now() + limits::RECONNECT;
        let mut pause = limits::RECONNECT_PAUSE;
        loop {
            let late = |_| Err(DriverError::Late);
            let failed = match timeout_at(until, self.try_to_connect()).await.unwrap_or_else(late) {
                Ok(connection) => return Ok(connection),
                Err(error) => error,
            };
            if Instant::now() + pause >= until {
                return Err(failed);
            }
            sleep(pause).await;
            pause *= 2;
        }
    }

    async fn try_to_connect(&self) -> Result<Connection, DriverError> {
        match self {
            Self::Sqlite(place) => place.writer().map(Connection::Sqlite),
            Self::Postgres(options) => Ok(Connection::Postgres(options.connect().await?)),
        }
    }
}

/// Whether this says that there is no connection any more: in the network's words, or in the server's
/// last ones (class 57P: it was told to stop).
fn is_lost(error: &DriverError) -> bool {
    let DriverError::Sqlx(error) = error else { return false };
    let said = error.as_database_error().and_then(DatabaseError::code);
    matches!(error, sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_))
        || said.is_some_and(|code| code.starts_with("57P"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_printed() {
        let url = "postgres://switchhook:secret@db/switchhook".to_owned();
        assert_eq!(format!("{:?}", Database::Postgres { url }), "Postgres { .. }");
    }
}
