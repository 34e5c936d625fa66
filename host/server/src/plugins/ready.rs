//! Plugins that were made ready lately, so that one component is loaded once for all who use it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use switchhook_plugin_runtime::{Compiled, Digest, Slot};

use crate::limits::READY_PLUGINS;

/// Those that are ready. What is active stays so without it.
#[derive(Debug, Default)]
pub(super) struct Ready(Mutex<BTreeMap<Digest, Compiled>>);

impl Ready {
    /// A component that was made ready for this slot.
    pub(super) fn of(&self, digest: Digest, slot: Slot) -> Option<Compiled> {
        let ready = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ready.get(&digest).filter(|plugin| plugin.slot() == slot).cloned()
    }

    /// Remembers one; when there are too many, all others are forgotten, which costs loading them again.
    pub(super) fn put(&self, plugin: Compiled) {
        let mut ready = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ready.len() >= READY_PLUGINS {
            ready.clear();
        }
        ready.insert(plugin.digest(), plugin);
    }
}
