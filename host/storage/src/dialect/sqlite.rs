//! SQLite: one file, one process.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    num::NonZeroU32,
    path::Path,
};

use sqlx::{
    ConnectOptions as _, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::{error::OpenError, limits};

/// Writes the log back into the database and empties it.
pub(crate) const CHECKPOINT: &str = "PRAGMA wal_checkpoint(TRUNCATE)";

/// How the writer's connection is made; nothing that it confirms is lost if it is `Full`.
pub(crate) fn writer(path: &Path, synchronous: SqliteSynchronous) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .busy_timeout(limits::BUSY_TIMEOUT)
        .foreign_keys(true)
        .statement_cache_capacity(limits::STATEMENTS)
        .pragma("wal_autocheckpoint", limits::CHECKPOINT_PAGES.to_string())
        // What a savepoint would restore is kept for the length of a group: in memory, not in a file.
        .pragma("temp_store", "memory")
        .disable_statement_logging()
}

/// Connections that read what that one writes.
pub(crate) fn readers(writer: &SqliteConnectOptions, count: NonZeroU32) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(count.get())
        .acquire_timeout(limits::WAIT_FOR_READER)
        .test_before_acquire(false)
        .max_lifetime(None)
        .idle_timeout(None)
        .connect_lazy_with(writer.clone().create_if_missing(false).pragma("query_only", "on"))
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
