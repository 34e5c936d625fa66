//! SQLite: one file, one process, driven by the thread that asks.
//!
//! A statement by key takes some microseconds; to hand it to another thread and to be woken with its answer takes many
//! times as long (docs/decisions/0003). So the writer's thread drives its own connection, and who reads does that in
//! place. What is read in place is in the page cache nearly always; what is not is one read of the disk.

mod connection;
mod planner;
mod readers;

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
};

use rusqlite::OpenFlags;
use sqlx::{
    ConnectOptions as _, Connection as _,
    sqlite::{SqliteConnectOptions, SqliteJournalMode},
};

pub(crate) use self::{
    connection::{SqliteConnection, SqliteRow},
    readers::Readers,
};
use crate::{
    error::{DriverError, OpenError},
    limits,
};

/// Writes the log back into the database and empties it.
pub(crate) const CHECKPOINT: &str = "PRAGMA wal_checkpoint(TRUNCATE)";

/// A database file, and how it is opened.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    path: PathBuf,
    synchronous: Synchronous,
}

/// What the writer waits for before it confirms.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Synchronous {
    /// The disk has it: nothing confirmed is lost.
    Full,
    /// The disk has what was written back from the log.
    #[cfg(test)]
    Normal,
    /// Nothing.
    Off,
}

impl Place {
    /// A file whose writer waits for that.
    pub(crate) const fn new(path: PathBuf, synchronous: Synchronous) -> Self {
        Self { path, synchronous }
    }

    /// Makes it if it is missing, and brings its schema up to date.
    pub(crate) async fn migrate(&self) -> Result<(), OpenError> {
        let options = SqliteConnectOptions::new()
            .filename(&self.path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .pragma("synchronous", self.synchronous.word())
            .busy_timeout(limits::BUSY_TIMEOUT)
            .foreign_keys(true)
            .disable_statement_logging();
        let mut connection = options.connect().await.map_err(DriverError::from)?;
        sqlx::migrate!("../../migrations/sqlite").run(&mut connection).await?;
        sqlx::raw_sql(planner::STATISTICS).execute(&mut connection).await.map_err(DriverError::from)?;
        Ok(connection.close().await.map_err(DriverError::from)?)
    }

    /// The connection that writes.
    pub(crate) fn writer(&self) -> Result<SqliteConnection, DriverError> {
        let connection = self.connect()?;
        connection.set(&format!(
            "PRAGMA wal_autocheckpoint = {}; PRAGMA temp_store = memory; PRAGMA cache_size = -{}",
            limits::CHECKPOINT_PAGES,
            limits::WRITER_CACHE
        ))?;
        Ok(connection)
    }

    /// One that reads what that one writes.
    fn reader(&self) -> Result<SqliteConnection, DriverError> {
        let connection = self.connect()?;
        connection.set(&format!("PRAGMA query_only = on; PRAGMA cache_size = -{}", limits::READER_CACHE))?;
        connection.bound(limits::INSTRUCTIONS)?;
        Ok(connection)
    }

    fn connect(&self) -> Result<SqliteConnection, DriverError> {
        // One thread at a time has it, which the type says: SQLite need not lock.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = rusqlite::Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(limits::BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(limits::STATEMENTS);
        let connection = SqliteConnection::from(connection);
        connection.set(&format!(
            "PRAGMA journal_mode = wal; PRAGMA synchronous = {}; PRAGMA foreign_keys = on",
            self.synchronous.word()
        ))?;
        Ok(connection)
    }
}

impl Synchronous {
    const fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            #[cfg(test)]
            Self::Normal => "normal",
            Self::Off => "off",
        }
    }
}

/// Makes the file, readable by its owner alone (SQLite gives its log the same mode), and keeps other
/// processes away: two writers would take each other's outbox entries for those of a dead process.
pub(crate) fn lock(path: &Path) -> Result<File, OpenError> {
    let refused = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::File { path, source }
    };
    let beside = path.with_extension("lock");
    let lock = private(&beside).map_err(refused(&beside))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(OpenError::InUse(path.to_owned())),
        Err(TryLockError::Error(source)) => return Err(refused(&beside)(source)),
    }
    private(path).map_err(refused(path))?;
    Ok(lock)
}

/// Opens a file that its owner alone reads; made if missing.
pub(crate) fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
