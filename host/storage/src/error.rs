//! Why storage did not do what it was asked.

use std::{io, path::PathBuf, sync::Arc};

use rusqlite::{
    ErrorCode,
    ffi::{
        SQLITE_CONSTRAINT_CHECK, SQLITE_CONSTRAINT_FOREIGNKEY, SQLITE_CONSTRAINT_NOTNULL,
        SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE,
    },
};
use sqlx::error::{DatabaseError, ErrorKind};
use switchhook_protocol::id::DeviceId;

/// Why a read or a transaction failed. A transaction that failed left nothing behind, but for one case
/// ([`Self::Away`]).
#[derive(Debug, Clone, thiserror::Error)]
pub enum StorageError {
    /// The database does not answer, or cannot do what it should: disk full, file gone. If it went away
    /// while it was committing, it is not known whether the transaction was performed.
    #[error("the database is away")]
    Away(#[source] Arc<DriverError>),
    /// A stored row breaks an invariant.
    #[error("row {row} of {table} is corrupt")]
    Corrupt {
        /// Its table.
        table: &'static str,
        /// Its key, without personal data.
        row: String,
    },
    /// What was to be written contradicts what is stored: the key is taken, or what it belongs to is missing.
    /// Or the database cannot hold it.
    #[error("the write contradicts what is stored: {rule}")]
    Conflict {
        /// The database's name for the broken rule: columns, no values.
        rule: String,
    },
    /// A message was to be put into the mailbox of a device that is not stored.
    #[error("device {device} has no mailbox")]
    NoSuchDevice {
        /// That device.
        device: DeviceId,
    },
    /// Too much waits for the writer already, or this waited too long. It was not performed.
    #[error("too much waits for the writer")]
    Busy,
    /// The transaction ended without an answer, and nothing of it was kept: its closure panicked, or the
    /// database gave up the group that it was in.
    #[error("the transaction was abandoned")]
    Abandoned,
    /// Storage is closed.
    #[error("storage is closed")]
    Closed,
}

/// Why storage could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("{} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The file system refused.
    #[error("cannot use {}", path.display())]
    File {
        /// What could not be made or opened.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is no database of ours, or of a later version.
    #[error("the schema cannot be brought up to date")]
    Schema(#[from] sqlx::migrate::MigrateError),
    /// The writer's thread does not start.
    #[error("the writer does not start")]
    Writer(#[source] io::Error),
    /// It confirms what it may lose when the power goes.
    #[error("the database may lose what it confirms: {settings}")]
    MayLose {
        /// The settings that let it, with their values.
        settings: String,
    },
    /// The writer cannot ask the database.
    #[error("the database does not answer the writer")]
    Asked(#[source] StorageError),
    /// The database did not open.
    #[error("the database did not open")]
    Database(#[from] DriverError),
}

/// What a database or the way to it said, in the words of its driver.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// SQLite.
    #[error(transparent)]
    Sqlite(rusqlite::Error),
    /// PostgreSQL; or SQLite, where its schema is brought up to date.
    #[error(transparent)]
    Sqlx(#[from] sqlx::Error),
    /// An argument cannot be written down.
    #[error("an argument has no JSON")]
    Argument(#[from] serde_json::Error),
    /// It was closed by us.
    #[error("the database is closed")]
    Closed,
    /// It did not answer in time.
    #[error("the database did not answer in time")]
    Late,
}

impl From<rusqlite::Error> for DriverError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => Self::Late,
            Some(_) | None => Self::Sqlite(error),
        }
    }
}

impl DriverError {
    /// The rule that a write broke, if that is what it says.
    fn broken_rule(&self) -> Option<String> {
        match self {
            Self::Sqlite(rusqlite::Error::SqliteFailure(failure, said)) => {
                let rules = [
                    SQLITE_CONSTRAINT_UNIQUE,
                    SQLITE_CONSTRAINT_PRIMARYKEY,
                    SQLITE_CONSTRAINT_FOREIGNKEY,
                    SQLITE_CONSTRAINT_NOTNULL,
                    SQLITE_CONSTRAINT_CHECK,
                ];
                rules.contains(&failure.extended_code).then(|| said.clone().unwrap_or_default())
            }
            Self::Sqlx(error) => error.as_database_error().and_then(rule_of_postgres),
            Self::Sqlite(_) | Self::Argument(_) | Self::Closed | Self::Late => None,
        }
    }
}

fn rule_of_postgres(refused: &dyn DatabaseError) -> Option<String> {
    match refused.kind() {
        // What PostgreSQL cannot hold: text with a NUL in it, as argument or in JSON; a key of pages.
        _ if matches!(refused.code().as_deref(), Some("22021" | "22P05" | "54000")) => {
            Some(refused.message().to_owned())
        }
        ErrorKind::UniqueViolation
        | ErrorKind::ForeignKeyViolation
        | ErrorKind::NotNullViolation
        | ErrorKind::CheckViolation => Some(refused.message().to_owned()),
        ErrorKind::ExclusionViolation | ErrorKind::Other | _ => None,
    }
}

impl From<DriverError> for StorageError {
    fn from(error: DriverError) -> Self {
        if matches!(error, DriverError::Closed | DriverError::Sqlx(sqlx::Error::PoolClosed)) {
            return Self::Closed;
        }
        let rule = error.broken_rule();
        rule.map_or_else(|| Self::Away(Arc::new(error)), |rule| Self::Conflict { rule })
    }
}
