//! Which devices have a socket here, and how their connections are woken.
//!
//! A hint that a mailbox has something, and the way of live messages: to the connection, if it is here, or
//! to the [`Others`]. A device has one connection; a second takes the place of the first, which is told
//! so, here or at another node. Of two nodes the later one has it by their clocks: these differ by less than a
//! client needs to come again. Entries are removed by connection id: the goodbye of an old connection
//! leaves its successor alone.

use std::{
    collections::HashMap,
    fmt,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use futures_util::future::join_all;
use switchhook_protocol::{
    id::{DeviceId, TenantId},
    server::PeerSignal,
    time::Timestamp,
};
use switchhook_storage::Stored;
use tokio::{
    sync::{Notify, mpsc},
    time::{self, Sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    limits,
    nodes::others::{DeviceHeard, Others, ToDevice},
};

/// A tenant's device.
pub(crate) type Whose = (TenantId, DeviceId);

/// Everybody online here, and the way to everybody else.
pub(crate) struct Online {
    connections: Mutex<HashMap<Whose, Entry>>,
    last_id: AtomicU64,
    others: Others,
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
    entered_at: Timestamp,
    mailbox: Arc<Notify>,
    live: mpsc::Receiver<PeerSignal>,
    replaced: CancellationToken,
    among_nodes: Option<AmongNodes>,
}

/// What a connection has where there are other nodes.
struct AmongNodes {
    heard: DeviceHeard,
    /// When the others are told once more, and the mailbox is looked at once more: the first time not every
    /// part of the bus knew of this connection.
    again: Option<Pin<Box<Sleep>>>,
}

/// Why a connection is woken.
#[derive(Debug, PartialEq)]
pub(crate) enum Nudge {
    /// Something may be in the mailbox.
    Mailbox,
    /// A live message.
    Signal(PeerSignal),
    /// Another connection took over.
    Replaced,
}

impl Online {
    pub(crate) fn new(others: Others) -> Self {
        Self { connections: Mutex::default(), last_id: AtomicU64::new(0), others }
    }

    /// The other nodes.
    pub(crate) const fn others(&self) -> &Others {
        &self.others
    }

    /// Takes the device's place, from its former connection if there is one. What is put into its mailbox
    /// from now on is heard.
    pub(crate) async fn enter(self: &Arc<Self>, whose: Whose, now: Timestamp) -> Seat {
        let among_nodes = self.others.hear_of(&whose).await.map(|heard| AmongNodes {
            heard,
            again: Some(Box::pin(time::sleep(limits::LOOK_AFTER_ENTERING))),
        });
        let id = self.last_id.fetch_add(1, Ordering::Relaxed);
        let mailbox = Arc::new(Notify::new());
        let (sender, live) = mpsc::channel(limits::LIVE_QUEUE);
        let replaced = CancellationToken::new();
        let entry = Entry { id, mailbox: Arc::clone(&mailbox), live: sender, replaced: replaced.clone() };
        if let Some(former) = self.lock().insert(whose.clone(), entry) {
            former.replaced.cancel();
        }
        self.others.tell(&whose, &ToDevice::Entered(now));
        Seat { online: Arc::clone(self), whose, id, entered_at: now, mailbox, live, replaced, among_nodes }
    }

    /// Hints that these devices have something in their mailboxes.
    pub(crate) fn wake(&self, tenant: &TenantId, devices: &[DeviceId]) {
        for device in devices {
            let whose = (tenant.clone(), device.clone());
            if !self.wake_here(&whose) {
                self.others.tell(&whose, &ToDevice::Stored);
            }
        }
    }

    /// Wakes those of them that are here: perhaps nobody has told them.
    pub(crate) fn rouse(&self, stored: Vec<Stored>) {
        for Stored { tenant, device, .. } in stored {
            self.wake_here(&(tenant, device));
        }
    }

    fn wake_here(&self, whose: &Whose) -> bool {
        self.lock().get(whose).map(|entry| entry.mailbox.notify_one()).is_some()
    }

    /// Passes a live message on. Dropped if the device is nowhere or its socket is behind; says whether it was
    /// passed on.
    pub(crate) fn signal(&self, whose: &Whose, signal: PeerSignal) -> bool {
        if let Some(entry) = self.lock().get(whose) {
            return entry.live.try_send(signal).is_ok();
        }
        self.others.tell(whose, &ToDevice::Signal(signal));
        self.others.hear()
    }

    /// Which of these devices have a socket, here or at another node, as far as that can be known now.
    pub(crate) async fn of(&self, whose: &[Whose]) -> Vec<bool> {
        join_all(whose.iter().map(async |whose| self.has(whose) || self.others.have(whose).await)).await
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

impl Seat {
    /// The next reason to do something. Nothing is lost when this is dropped and called again.
    pub(crate) async fn next(&mut self) -> Nudge {
        loop {
            tokio::select! {
                biased;
                () = self.replaced.cancelled() => return Nudge::Replaced,
                Some(signal) = self.live.recv() => return Nudge::Signal(signal),
                () = self.mailbox.notified() => return Nudge::Mailbox,
                word = heard(&mut self.among_nodes) => match word {
                    Some(ToDevice::Stored) => return Nudge::Mailbox,
                    Some(ToDevice::Signal(signal)) => return Nudge::Signal(signal),
                    Some(ToDevice::Entered(later)) if later > self.entered_at => return Nudge::Replaced,
                    // The other one is told that it is the earlier.
                    Some(ToDevice::Entered(_)) => self.tell_entered(),
                    Some(ToDevice::Where) => {}
                    None => {
                        self.tell_entered();
                        return Nudge::Mailbox;
                    }
                },
            }
        }
    }

    fn tell_entered(&self) {
        self.online.others.tell(&self.whose, &ToDevice::Entered(self.entered_at));
    }
}

/// What another node says; none when it is time to tell and to look again.
async fn heard(among_nodes: &mut Option<AmongNodes>) -> Option<ToDevice> {
    let Some(AmongNodes { heard, again }) = among_nodes else { return std::future::pending().await };
    let Some(pause) = again else { return Some(heard.next().await) };
    tokio::select! {
        biased;
        word = heard.next() => Some(word),
        () = pause => {
            *again = None;
            None
        }
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
    use switchhook_core::seal::{RootKeys, Scope};

    use super::*;

    #[tokio::test]
    async fn the_goodbye_of_a_replaced_connection_leaves_its_successor() {
        let keys = RootKeys::new([7; 32], []).ring(Scope::Host);
        let online = Arc::new(Online::new(Others::new(None, "here".parse().unwrap(), keys)));
        let whose: Whose = ("acme".parse().unwrap(), "phone".parse().unwrap());
        let mut first = online.enter(whose.clone(), Timestamp::from_millis(1)).await;
        let second = online.enter(whose.clone(), Timestamp::from_millis(2)).await;
        assert_eq!(first.next().await, Nudge::Replaced);
        drop(first);
        assert!(online.has(&whose));
        drop(second);
        assert!(!online.has(&whose));
    }
}
