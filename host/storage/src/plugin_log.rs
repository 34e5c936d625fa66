//! Lines that plugins wrote for their tenant: the newest of each plugin, in order.

use switchhook_core::policy::Slot;
use switchhook_protocol::time::Timestamp;

use crate::{
    cells::{Cells, integer, millis},
    dialect::{Query, Row},
    error::StorageError,
    lifecycle::TenantStorage,
    limits,
    transaction::Transaction,
    words::Word as _,
};

const LAST: &str = "SELECT COALESCE(MAX(position), 0) FROM plugin_lines \
     WHERE tenant = $1 AND slot = $2 AND name = $3";
const APPEND: &str = "INSERT INTO plugin_lines (tenant, slot, name, position, at, version, subject, level, text) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const FORGET: &str =
    "DELETE FROM plugin_lines WHERE tenant = $1 AND slot = $2 AND name = $3 AND position <= $4";
const AFTER: &str = "SELECT level, position, at, version, subject, text FROM plugin_lines \
     WHERE tenant = $1 AND slot = $2 AND name = $3 AND position > $4 \
     ORDER BY position LIMIT CAST($5 AS BIGINT)";

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginLine {
    /// When its call was made.
    pub at: Timestamp,
    /// The version that wrote it.
    pub version: u32,
    /// Session or attempt that the call decided about.
    pub subject: String,
    /// `debug`, `info`, `warn` or `error`.
    pub level: String,
    /// What it says.
    pub text: String,
}

/// The lines of one plugin.
#[derive(Debug)]
pub struct PluginLog<'a> {
    storage: &'a TenantStorage,
    slot: Slot,
    name: &'a str,
}

impl TenantStorage {
    /// The lines of one plugin.
    pub const fn plugin_log<'a>(&'a self, slot: Slot, name: &'a str) -> PluginLog<'a> {
        PluginLog { storage: self, slot, name }
    }
}

impl PluginLog<'_> {
    /// The lines after this position (0: from the first kept), each with its own.
    pub async fn after(&self, position: u64, limit: u32) -> Result<Vec<(u64, PluginLine)>, StorageError> {
        let query = Query::from(AFTER)
            .bind(self.storage.tenant().as_str().to_owned())
            .bind(self.slot.word())
            .bind(self.name.to_owned())
            .bind(integer(position))
            .bind(limit);
        self.storage.storage().all(query, decode).await
    }
}

impl Transaction<'_> {
    /// Appends lines of one plugin; its oldest above [`limits::PLUGIN_LINES`] are forgotten.
    pub async fn append_plugin_lines(
        &mut self,
        slot: Slot,
        name: &str,
        lines: &[PluginLine],
    ) -> Result<(), StorageError> {
        let of_plugin = |statement: &'static str, tenant: &str| {
            Query::from(statement).bind(tenant.to_owned()).bind(slot.word()).bind(name.to_owned())
        };
        let last = of_plugin(LAST, self.tenant());
        let mut position: u64 =
            self.one(last, |row| Cells::of("plugin_lines", row).number()).await?.unwrap_or(0);
        for line in lines {
            position = position.saturating_add(1);
            let append = of_plugin(APPEND, self.tenant())
                .bind(integer(position))
                .bind(millis(line.at))
                .bind(integer(line.version.into()))
                .bind(line.subject.clone())
                .bind(line.level.clone())
                .bind(line.text.clone());
            self.write(append).await?;
        }
        let kept = position.saturating_sub(limits::PLUGIN_LINES);
        let forget = of_plugin(FORGET, self.tenant()).bind(integer(kept));
        self.write(forget).await.map(drop)
    }
}

fn decode(row: &Row) -> Result<(u64, PluginLine), StorageError> {
    let mut cells = Cells::of("plugin_lines", row);
    let level = cells.text()?;
    let position = cells.number()?;
    let at = cells.timestamp()?;
    let version = cells.number()?;
    Ok((position, PluginLine { at, version, subject: cells.text()?, level, text: cells.text()? }))
}
