//! What plugins write for their tenant, on its way to storage.
//!
//! A decision never waits for its log: lines go into a bounded queue and are stored in batches. What
//! does not fit is dropped, and counted in a line of its own.

use std::{
    collections::BTreeMap,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use switchhook_core::policy::Slot;
use switchhook_protocol::id::TenantId;
use switchhook_storage::{PluginLine, StorageError};
use tokio::{
    sync::{Notify, watch},
    time,
};
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
    lines: BTreeMap<(TenantId, Slot, String), Vec<PluginLine>>,
    count: usize,
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
        if waiting.count < limits::WAITING_LINES {
            waiting.count += lines.len();
            waiting.lines.entry((tenant.clone(), slot, name.to_owned())).or_default().extend(lines);
        }
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

/// Stores lines until told to stop, and then those that wait.
pub(crate) async fn work(app: Arc<App>) {
    loop {
        let stopping = tokio::select! {
            biased;
            () = app.stop.cancelled() => true,
            () = app.plugins.lines.hint.notified() => false,
        };
        for ((tenant, slot, name), lines) in app.plugins.lines.take().lines {
            let stored = store(&app, &tenant, (slot, name), lines).await;
            if let Err(trouble) = stored {
                error!(tenant.id = %tenant, error = %Causes(&trouble), "lines of a plugin are not stored");
            }
        }
        app.plugins.lines.written.send_replace(());
        if stopping {
            return;
        }
        // Lines of many calls go together.
        time::sleep(limits::LINES_TOGETHER).await;
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
