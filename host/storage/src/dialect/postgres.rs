//! PostgreSQL: one database, any number of nodes (how they take turns: [`super::turns`]).
//!
//! All our statements reach stored rows by a key. A plan that was made while a table was small would
//! scan it, and be kept while the table grows; so scans and what goes with them are discouraged.

use std::{num::NonZeroU32, str::FromStr as _, time::Duration};

use sqlx::{
    ConnectOptions as _, Connection as _, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{
    error::{DriverError, OpenError},
    limits,
};

/// What was stored within so many milliseconds, by the database's own clock, and still waits.
pub(crate) const STORED_LATELY: &str = "SELECT DISTINCT tenant, device FROM messages \
     WHERE stored_at >= CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) - $1";

/// In a transaction: its statements may take longer than others, [`limits::LEISURE`] times.
pub(crate) const AT_LEISURE: &str = "SET LOCAL statement_timeout = '100s'";

/// How the database of this URL is reached, for the work of a migration, which may take long.
pub(crate) fn database(url: &str) -> Result<PgConnectOptions, OpenError> {
    let options = PgConnectOptions::from_str(url).map_err(DriverError::from)?;
    Ok(options
        .application_name("switchhook")
        .statement_cache_capacity(limits::STATEMENTS)
        .disable_statement_logging())
}

/// How the writer's connection is made: what it confirms is on the disk.
pub(crate) fn writer(database: PgConnectOptions) -> PgConnectOptions {
    by_key(database)
        .application_name("switchhook writer")
        .options([("synchronous_commit", "on")])
        .options([("statement_timeout", milliseconds(limits::STATEMENT))])
        .options([("idle_in_transaction_session_timeout", milliseconds(limits::SILENCE))])
}

/// Connections that read.
pub(crate) fn readers(database: PgConnectOptions, count: NonZeroU32) -> PgPool {
    let options = by_key(database)
        .application_name("switchhook reader")
        .options([("default_transaction_read_only", "on")])
        .options([("statement_timeout", milliseconds(limits::STATEMENT))]);
    pool(count, limits::WAIT_FOR_READER, options)
}

/// The connection by which a node says that it lives: it waits for no reader.
pub(crate) fn apart(database: PgConnectOptions) -> PgPool {
    let options = by_key(database)
        .application_name("switchhook node")
        .options([("default_transaction_read_only", "off")])
        .options([("statement_timeout", milliseconds(limits::BEAT))]);
    pool(NonZeroU32::MIN, limits::BEAT, options)
}

fn pool(count: NonZeroU32, wait: Duration, options: PgConnectOptions) -> PgPool {
    PgPoolOptions::new()
        .max_connections(count.get())
        .acquire_timeout(wait)
        .test_before_acquire(false)
        .before_acquire(|connection, it| {
            Box::pin(async move {
                if it.idle_for >= limits::TRUSTED_IDLE {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .max_lifetime(None)
        .idle_timeout(None)
        .connect_lazy_with(options)
}

fn by_key(options: PgConnectOptions) -> PgConnectOptions {
    let discouraged = ["enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit"];
    options.options(discouraged.map(|setting| (setting, "off")))
}

fn milliseconds(duration: Duration) -> String {
    duration.as_millis().to_string()
}
