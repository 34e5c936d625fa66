//! Whether the database keeps what it confirms.
//!
//! The writer's own connection is asked what counts on it: on the way there may be a pooler that drops the settings that
//! we ask for, and behind it a server that was set up for a test.

use crate::{
    cells::Cells,
    dialect::{Query, Row, Statement},
    error::{OpenError, StorageError},
    lifecycle::Storage,
};

/// Settings under which a confirmed transaction can be lost, or a database be torn, when the power is.
const WEAK: Statement = Statement {
    sqlite: "SELECT 'synchronous', CAST(synchronous AS TEXT) FROM pragma_synchronous WHERE synchronous < 2",
    postgres: "SELECT name, setting FROM pg_settings \
         WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND setting <> 'on' ORDER BY name",
};

/// What is the server's own affair. The rest is asked for by each connection.
const OF_SERVER: [&str; 2] = ["fsync", "full_page_writes"];

/// Refuses a database that may lose what it confirms; one whose server may is taken if that is known.
pub(crate) async fn require(storage: &Storage, allow_lossy_database: bool) -> Result<(), OpenError> {
    let asked = storage.run("durability", async |tx| tx.all(Query::from(WEAK), weak).await);
    let weak: Result<Vec<(String, String)>, StorageError> = asked.await;
    let mut weak = weak.map_err(OpenError::Asked)?;
    weak.retain(|(name, _)| !(allow_lossy_database && OF_SERVER.contains(&name.as_str())));
    if weak.is_empty() {
        return Ok(());
    }
    let settings: Vec<String> = weak.into_iter().map(|(name, value)| format!("{name} = {value}")).collect();
    Err(OpenError::MayLose { settings: settings.join(", ") })
}

fn weak(row: &Row) -> Result<(String, String), StorageError> {
    let mut cells = Cells::of("settings", row);
    Ok((cells.text()?, cells.text()?))
}
