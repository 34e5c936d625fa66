//! Why storage did not do what it was asked.

use std::{io, path::PathBuf, sync::Arc};

use switchhook_protocol::id::DeviceId;

/// Why a read or a transaction failed. A transaction that failed left nothing behind, but for one case
/// ([`Self::Away`]).
#[derive(Debug, Clone, thiserror::Error)]
pub enum StorageError {
    /// The database does not answer, or cannot do what it should: disk full, file gone. If it went away
    /// while it was committing, it is not known whether the transaction was performed.
    #[error("the database is away")]
    Away(#[source] Arc<sqlx::Error>),
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
    Database(#[from] sqlx::Error),
}

impl From<sqlx::Error> for StorageError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::error::ErrorKind;

        let rule = error.as_database_error().and_then(|refused| match refused.kind() {
            // What PostgreSQL cannot hold: text with a NUL in it, as argument or in JSON; a key of pages.
            _ if matches!(refused.code().as_deref(), Some("22021" | "22P05" | "54000")) => {
                Some(refused.message().to_owned())
            }
            ErrorKind::UniqueViolation
            | ErrorKind::ForeignKeyViolation
            | ErrorKind::NotNullViolation
            | ErrorKind::CheckViolation => Some(refused.message().to_owned()),
            ErrorKind::ExclusionViolation | ErrorKind::Other | _ => None,
        });
        if matches!(error, sqlx::Error::PoolClosed) {
            return Self::Closed;
        }
        rule.map_or_else(|| Self::Away(Arc::new(error)), |rule| Self::Conflict { rule })
    }
}
