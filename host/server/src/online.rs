//! Which devices have a socket here, and how their connections are woken.
//!
//! The bus of one process: a hint that a mailbox has something, and the way of live messages. A
//! device has one connection; a second takes the place of the first, which is told so. Entries are
//! removed by connection id: the goodbye of an old connection leaves its successor alone.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use switchhook_protocol::{
    id::{DeviceId, TenantId},
    server::PeerSignal,
};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::limits;

/// A tenant's device.
pub(crate) type Whose = (TenantId, DeviceId);

/// Everybody online here.
#[derive(Default)]
pub(crate) struct Online {
    connections: Mutex<HashMap<Whose, Entry>>,
    last_id: AtomicU64,
}

struct Entry {
    id: u64,
    mailbox: Arc<Notify>,
    live: mpsc::Sender<PeerSignal>,
    replaced: CancellationToken,
}

/// A connection's place in the table; leaving it is its end.
pub(crate) struct Seat {
    online: Arc<Online>,
    whose: Whose,
    id: u64,
    /// Something may be in the mailbox.
    pub(crate) mailbox: Arc<Notify>,
    /// Live messages.
    pub(crate) live: mpsc::Receiver<PeerSignal>,
    /// Another connection took over.
    pub(crate) replaced: CancellationToken,
}

impl Online {
    /// Takes the device's place, from its former connection if there is one.
    pub(crate) fn enter(self: &Arc<Self>, whose: Whose) -> Seat {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed);
        let mailbox = Arc::new(Notify::new());
        let (sender, live) = mpsc::channel(limits::LIVE_QUEUE);
        let replaced = CancellationToken::new();
        let entry = Entry { id, mailbox: Arc::clone(&mailbox), live: sender, replaced: replaced.clone() };
        if let Some(former) = self.lock().insert(whose.clone(), entry) {
            former.replaced.cancel();
        }
        Seat { online: Arc::clone(self), whose, id, mailbox, live, replaced }
    }

    /// Hints that these devices have something in their mailboxes.
    pub(crate) fn wake(&self, tenant: &TenantId, devices: &[DeviceId]) {
        let connections = self.lock();
        for device in devices {
            if let Some(entry) = connections.get(&(tenant.clone(), device.clone())) {
                entry.mailbox.notify_one();
            }
        }
    }

    /// Passes a live message on. Dropped if the device is not here or its socket is behind.
    pub(crate) fn signal(&self, whose: &Whose, signal: PeerSignal) -> bool {
        self.lock().get(whose).is_some_and(|entry| entry.live.try_send(signal).is_ok())
    }

    /// Whether the device has a socket here.
    pub(crate) fn has(&self, whose: &Whose) -> bool {
        self.lock().contains_key(whose)
    }

    /// How many devices have a socket here.
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    fn leave(&self, whose: &Whose, id: u64) {
        let mut connections = self.lock();
        if connections.get(whose).is_some_and(|entry| entry.id == id) {
            connections.remove(whose);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Whose, Entry>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Online {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Online({})", self.count())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.online.leave(&self.whose, self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_goodbye_of_a_replaced_connection_leaves_its_successor() {
        let online = Arc::new(Online::default());
        let whose: Whose = ("acme".parse().unwrap(), "phone".parse().unwrap());
        let first = online.enter(whose.clone());
        let second = online.enter(whose.clone());
        assert!(first.replaced.is_cancelled());
        drop(first);
        assert!(online.has(&whose));
        drop(second);
        assert!(!online.has(&whose));
    }
}
