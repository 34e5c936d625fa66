//! How much a database holds: what was refused must leave no row behind.

use std::{collections::BTreeMap, path::Path};

use anyhow::Result;
use sqlx::{Connection as _, Row as _, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::waiting::until;

/// Rows by table, of a data folder whose server may be running. What it does by itself after an answer (to send
/// what an answer led to, and to note what became of it) is waited for. Messages are counted since the first one, since a
/// client acknowledges them when it likes.
pub async fn rows(data: &Path) -> Result<BTreeMap<String, i64>> {
    let options = SqliteConnectOptions::new().filename(data.join("switchhook.db")).read_only(true);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let rows = until("the end of what is performed", async || {
        let mut snapshot = connection.begin().await?;
        let performed: i64 = sqlx::query(UNDER_WAY).fetch_one(&mut *snapshot).await?.try_get(0)?;
        if performed > 0 { Ok(None) } else { counted(&mut snapshot).await.map(Some) }
    });
    let rows = rows.await?;
    connection.close().await?;
    Ok(rows)
}

const MESSAGES_EVER: &str = "SELECT coalesce(sum(last_seq), 0) FROM mailboxes";

const UNDER_WAY: &str = "SELECT count(*) FROM outbox WHERE state IN ('queued', 'performing')";

async fn counted(connection: &mut SqliteConnection) -> Result<BTreeMap<String, i64>> {
    let tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    let mut rows = BTreeMap::new();
    for table in sqlx::query(tables).fetch_all(&mut *connection).await? {
        let name: String = table.try_get(0)?;
        let count = match name.as_str() {
            "messages" => MESSAGES_EVER.to_owned(),
            name => format!("SELECT count(*) FROM \"{name}\""),
        };
        let count = sqlx::query(sqlx::AssertSqlSafe(count)).fetch_one(&mut *connection).await?.try_get(0)?;
        rows.insert(name, count);
    }
    Ok(rows)
}
