//! A copy of a SQLite database whose server goes on writing, and the new life of a database that came back.
//!
//! **Copying** reads one state of the database, the last that was committed when it began, in one long
//! read beside the server's own (`VACUUM INTO`): writers do not wait, and the log grows until it is done.
//!
//! **A database that came back** from a backup knows less than its clients. [`Storage::adopt`] tells them:
//! every mailbox gets another epoch, so that no client takes a sequence number of now for one of before.
//! Texts and mails that were waiting may have been sent since, so they are in doubt. The nodes of then are no more.

use std::{io, path::Path, time::Duration};

use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use switchhook_protocol::id::Epoch;

use crate::{
    dialect::{Query, sqlite},
    error::StorageError,
    lifecycle::Storage,
    limits, outbox,
    transaction::Transaction,
};

const COPY: &str = "VACUUM INTO $1";
const PAGES: &str = "SELECT (page_count - freelist_count) * page_size \
     FROM pragma_page_count, pragma_freelist_count, pragma_page_size";
const CHECK: &str = "PRAGMA integrity_check(1)";
const RENEW: &str = "UPDATE mailboxes SET epoch = $1 WHERE (tenant, device) IN \
     (SELECT tenant, device FROM mailboxes WHERE epoch <> $1 LIMIT CAST($2 AS BIGINT))";
const SENT_PERHAPS: &str =
    "UPDATE outbox SET state = 'in-doubt' WHERE state = 'queued' AND kind IN ('text', 'mail')";
const FORGET_NODES: &str = "DELETE FROM nodes";

/// How often who waits is told how far the copy is.
const TELL: Duration = Duration::from_secs(1);

/// Why a database could not be copied, or a copy not be used.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The copy's file cannot be made.
    #[error("the copy cannot be written")]
    File(#[from] io::Error),
    /// The database does not answer, or cannot be read.
    #[error("the database cannot be read")]
    Database(#[from] sqlx::Error),
    /// What it says about itself is not right.
    #[error("the database is damaged: {0}")]
    Damaged(String),
}

/// What [`Storage::adopt`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adopted {
    /// Mailboxes whose devices will notice.
    pub mailboxes: u64,
    /// Texts and mails that may have been sent since the backup.
    pub in_doubt: u64,
}

/// Copies a SQLite database, of a running server or of none, to a new file that its owner alone reads. Tells from time
/// to time how many bytes of about how many are copied. What is there when this returns is on the disk.
pub async fn copy(from: &Path, to: &Path, mut told: impl FnMut(u64, u64)) -> Result<(), CopyError> {
    let target = sqlite::private(to)?;
    let mut connection = read(from).await?;
    let all: i64 = sqlx::query_scalar(PAGES).fetch_one(&mut connection).await?;
    let name = to.to_str().ok_or(io::ErrorKind::InvalidFilename).map_err(io::Error::from)?;
    let copying = sqlx::query(COPY).bind(name).execute(&mut connection);
    let so_far = || target.metadata().map_or(0, |file| file.len());
    meanwhile(copying, || told(so_far(), u64::try_from(all).unwrap_or(0))).await?;
    connection.close().await?;
    Ok(target.sync_all()?)
}

/// Reads a whole database file, and says what is wrong with it.
pub async fn verify(file: &Path) -> Result<(), CopyError> {
    let mut connection = read(file).await?;
    let said: String = sqlx::query_scalar(CHECK).fetch_one(&mut connection).await?;
    connection.close().await?;
    if said == "ok" { Ok(()) } else { Err(CopyError::Damaged(said)) }
}

impl Storage {
    /// Gives a database that came back from a backup its new incarnation. What was done is done once more
    /// without harm, if this fails on its way.
    pub async fn adopt(&self, incarnation: &Epoch) -> Result<Adopted, StorageError> {
        let in_doubt = self.run("adopt-outbox", async move |tx: &mut Transaction<'_>| {
            tx.write(Query::from(FORGET_NODES)).await?;
            let begun = outbox::take_up(tx).await?.len();
            Ok::<_, StorageError>(
                tx.write(Query::from(SENT_PERHAPS)).await? + u64::try_from(begun).unwrap_or(u64::MAX),
            )
        });
        let in_doubt = in_doubt.await?;
        let mut mailboxes = 0;
        loop {
            let renew = Query::from(RENEW).bind(incarnation.as_str()).bind(limits::ADOPTED);
            match self
                .run("adopt-mailboxes", async move |tx: &mut Transaction<'_>| tx.write(renew).await)
                .await?
            {
                0 => return Ok(Adopted { mailboxes, in_doubt }),
                renewed => mailboxes += renewed,
            }
        }
    }
}

/// Waits for work, and tells from time to time.
async fn meanwhile<T>(work: impl Future<Output = T>, mut tell: impl FnMut()) -> T {
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(TELL) => tell(),
        }
    }
}

async fn read(file: &Path) -> Result<SqliteConnection, sqlx::Error> {
    let options =
        SqliteConnectOptions::new().filename(file).read_only(true).busy_timeout(limits::BUSY_TIMEOUT);
    options.disable_statement_logging().connect().await
}
