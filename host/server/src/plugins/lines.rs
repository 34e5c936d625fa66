//! What plugins write for their tenant, on its way to storage.
//!
//! A decision never waits for its log: lines wait in memory, so many for each plugin and so many for
//! all, and those that gather while others are stored are stored together. What does not fit is
//! dropped, and counted in a line of the host's own.

use std::{
    collections::BTreeMap,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use switchhook_core::policy::Slot;
use switchhook_plugin_runtime::LogLevel;
use switchhook_protocol::id::TenantId;
use switchhook_storage::{PluginLine, StorageError};
use tokio::sync::{Notify, watch};
use tracing::error;

use crate::{app::App, causes::Causes, limits};

/// Lines that wait.
#[derive(Debug)]
pub(crate) struct Lines {
    waiting: Mutex<Waiting>,
    hint: Notify,
    written: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Waiting {
    of_plugins: BTreeMap<(TenantId, Slot, String), Gathered>,
    count: usize,
}

/// The waiting lines of one plugin.
#[derive(Debug, Default)]
struct Gathered {
    lines: Vec<PluginLine>,
    dropped: usize,
    last_dropped: Option<PluginLine>,
}

impl Default for Lines {
    fn default() -> Self {
        Self { waiting: Mutex::default(), hint: Notify::new(), written: watch::Sender::new(()) }
    }
}

impl Lines {
    pub(super) fn write(&self, (tenant, slot, name): (&TenantId, Slot, &str), lines: Vec<PluginLine>) {
        if lines.is_empty() {
            return;
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let room = limits::WAITING_LINES.saturating_sub(waiting.count);
        let gathered = waiting.of_plugins.entry((tenant.clone(), slot, name.to_owned())).or_default();
        waiting.count += gathered.add(lines, room);
        drop(waiting);
        self.hint.notify_one();
    }

    /// Changes whenever lines were stored.
    pub(crate) fn written(&self) -> watch::Receiver<()> {
        self.written.subscribe()
    }

    fn take(&self) -> Waiting {
        mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Gathered {
    /// Takes as many as there is room for; returns how many.
    fn add(&mut self, mut lines: Vec<PluginLine>, room: usize) -> usize {
        let own_room = limits::WAITING_LINES_OF_PLUGIN.saturating_sub(self.lines.len());
        let kept = lines.len().min(room).min(own_room);
        self.dropped += lines.len() - kept;
        if let Some(last) = lines.drain(kept..).next_back() {
            self.last_dropped = Some(last);
        }
        self.lines.append(&mut lines);
        kept
    }

    /// The lines, and after them how many are missing.
    fn all(self) -> Vec<PluginLine> {
        let Self { mut lines, dropped, last_dropped } = self;
        lines.extend(last_dropped.map(|last| PluginLine {
            level: LogLevel::Warn.as_str().to_owned(),
            text: format!("{dropped} lines up to this one were dropped: too many wait to be stored"),
            ..last
        }));
        lines
    }
}

/// Stores lines until told to stop, and then those that wait.
pub(crate) async fn work(app: Arc<App>) {
    loop {
        let stopping = tokio::select! {
            biased;
            () = app.stop.cancelled() => true,
            () = app.plugins.lines.hint.notified() => false,
        };
        for ((tenant, slot, name), gathered) in app.plugins.lines.take().of_plugins {
            let stored = store(&app, &tenant, (slot, name), gathered.all()).await;
            if let Err(trouble) = stored {
                error!(tenant.id = %tenant, error = %Causes(&trouble), "lines of a plugin are not stored");
            }
        }
        app.plugins.lines.written.send_replace(());
        if stopping {
            return;
        }
    }
}

async fn store(
    app: &App,
    tenant: &TenantId,
    (slot, name): (Slot, String),
    lines: Vec<PluginLine>,
) -> Result<(), StorageError> {
    let storage = app.storage.of(tenant);
    storage.run("plugin-lines", async move |tx| tx.append_plugin_lines(slot, &name, &lines).await).await
}

#[cfg(test)]
mod tests {
    use switchhook_protocol::time::Timestamp;

    use super::*;

    fn lines(count: usize) -> Vec<PluginLine> {
        let line = |text: usize| PluginLine {
            at: Timestamp::from_millis(0),
            version: 1,
            subject: "s".to_owned(),
            level: "info".to_owned(),
            text: text.to_string(),
        };
        (0..count).map(line).collect()
    }

    #[test]
    fn a_plugin_fills_its_own_room_and_what_was_dropped_is_counted() {
        let written = Lines::default();
        let tenant: TenantId = "acme".parse().unwrap();
        let noisy = (&tenant, Slot::InviteRouter, "noisy");
        written.write(noisy, lines(limits::WAITING_LINES_OF_PLUGIN - 1));
        written.write(noisy, lines(3));
        written.write((&tenant, Slot::InviteRouter, "quiet"), lines(1));

        let mut taken: Vec<Vec<PluginLine>> =
            written.take().of_plugins.into_values().map(Gathered::all).collect();
        let quiet = taken.pop().unwrap();
        assert_eq!(quiet, lines(1), "a neighbour's lines are kept");
        let noisy = taken.pop().unwrap();
        assert_eq!(noisy.len(), limits::WAITING_LINES_OF_PLUGIN + 1);
        assert!(noisy.last().unwrap().text.starts_with("2 lines up to this one were dropped"));
    }

    #[test]
    fn all_plugins_together_have_so_much_room() {
        let mut gathered = Gathered::default();
        assert_eq!(gathered.add(lines(5), 4), 4);
        assert_eq!(gathered.add(lines(5), 0), 0);
        assert!(gathered.all().last().unwrap().text.starts_with("6 lines"));
    }
}
