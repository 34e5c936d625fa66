//! Which devices have a socket here, and how their connections are woken.
//!
//! A hint that a mailbox has something, and the way of live messages: to the connection, if it is here, or
//! to the [`Others`]. A device has one connection; a second takes the place of the first, which is told
//! so, here or at another node. Of two nodes the later one has it by their clocks: these differ by less than a
//! client needs to come again. Of two in one millisecond the greater id has it, so that both nodes say the same.
//! Entries are removed by connection id: the goodbye of an old connection leaves its successor alone.

mod line;

use std::{
    collections::HashMap,
    fmt,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use switchhook_core::row::StoredMessage;
use switchhook_protocol::{
    id::{DeviceId, NodeId, TenantId},
    server::{PeerSignal, ServerMessage},
    time::Timestamp,
};
use tokio::time::{self, Instant, Sleep};

use self::line::Line;
use crate::{
    limits,
    nodes::others::{DeviceHeard, Others, ToDevice},
};

/// A tenant's device.
pub(crate) type Whose = (TenantId, DeviceId);

/// Everybody online here, and the way to everybody else.
pub(crate) struct Online {
    connections: Mutex<Connections>,
    last_id: AtomicU64,
    others: Others,
}

#[derive(Default)]
struct Connections {
    by_device: HashMap<Whose, Entry>,
    /// The server ends: whoever comes now leaves at once.
    leaving: bool,
}

struct Entry {
    id: u64,
    line: Arc<Line>,
}

/// A connection's place in the table; leaving it is its end.
pub(crate) struct Seat {
    online: Arc<Online>,
    whose: Whose,
    id: u64,
    entered_at: Timestamp,
    line: Arc<Line>,
    among_nodes: Option<Box<AmongNodes>>,
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
    /// The server ends.
    Leave,
    /// Something may be in the mailbox.
    Mailbox,
    /// These were put into it.
    Stored(Vec<StoredMessage>),
    /// A live message.
    Live(Live),
    /// Another connection took over.
    Replaced,
}

/// A live message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Live {
    /// Every one of them counts.
    Signal(PeerSignal),
    /// The last one counts.
    Presence(PeerSignal),
}

impl From<Live> for ServerMessage {
    fn from(live: Live) -> Self {
        match live {
            Live::Signal(signal) => Self::Signal(signal),
            Live::Presence(presence) => Self::Presence(presence),
        }
    }
}

impl Live {
    /// Whether this one makes an earlier one pointless.
    fn replaces(&self, earlier: &Self) -> bool {
        let (Self::Presence(now), Self::Presence(before)) = (self, earlier) else { return false };
        (&now.session, &now.from) == (&before.session, &before.from)
    }
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
        let among_nodes = self.others.hear_of(&whose).await.map(|heard| {
            let again = Some(Box::pin(time::sleep(limits::LOOK_AFTER_ENTERING)));
            Box::new(AmongNodes { heard, again })
        });
        let id = self.last_id.fetch_add(1, Ordering::Relaxed);
        let line = Arc::<Line>::default();
        self.seat(&whose, Entry { id, line: Arc::clone(&line) });
        self.others.tell(&whose, &ToDevice::Entered(now, self.others.me().clone()));
        Seat { online: Arc::clone(self), whose, id, entered_at: now, line, among_nodes }
    }

    /// Ends the device's connection, here or at another node, as one that it made later would.
    pub(crate) async fn end(self: &Arc<Self>, whose: Whose, now: Timestamp) {
        drop(self.enter(whose, now).await);
    }

    fn seat(&self, whose: &Whose, entry: Entry) {
        let mut connections = self.lock();
        if connections.leaving {
            entry.line.send_away();
        }
        if let Some(former) = connections.by_device.insert(whose.clone(), entry) {
            former.line.replace();
        }
    }

    /// Sends everybody away, one after the other within a stated time: they come to the other nodes then.
    pub(crate) async fn send_away(&self) {
        let lines = self.leave_all();
        let Ok(count) = u32::try_from(lines.len().max(1)) else { return };
        let all = Duration::from_secs(1) * count / limits::DRAINED_PER_SECOND;
        let pause = all.min(limits::DRAIN_CONNECTIONS) / count;
        let mut due = Instant::now();
        // A map's order is nobody's: those of one tenant do not leave together.
        for line in lines {
            line.send_away();
            due += pause;
            time::sleep_until(due).await;
        }
    }

    fn leave_all(&self) -> Vec<Arc<Line>> {
        let mut connections = self.lock();
        connections.leaving = true;
        connections.by_device.values().map(|entry| Arc::clone(&entry.line)).collect()
    }

    /// Hands on what devices have in their mailboxes now; to other nodes, that it is there.
    pub(crate) fn wake(&self, tenant: &TenantId, stored: Vec<(DeviceId, StoredMessage)>) {
        for (device, message) in stored {
            let whose = (tenant.clone(), device);
            let line = self.lock().by_device.get(&whose).map(|entry| Arc::clone(&entry.line));
            match line {
                Some(line) => line.stored(message),
                None => self.others.tell(&whose, &ToDevice::Stored),
            }
        }
    }

    /// Wakes those of them that are here: perhaps nobody has told them.
    pub(crate) fn rouse(&self, stored: &[Whose]) {
        for whose in stored {
            if let Some(entry) = self.lock().by_device.get(whose) {
                entry.line.hint();
            }
        }
    }

    /// Passes a live message on. Dropped if the device is nowhere or its socket is behind; says whether it was
    /// passed on.
    pub(crate) fn pass_on(&self, whose: &Whose, live: Live) -> bool {
        if let Some(entry) = self.lock().by_device.get(whose) {
            return entry.line.pass_on(live);
        }
        self.others.tell(whose, &ToDevice::Live(live));
        self.others.hear()
    }

    /// Which of these devices have a socket, here or at another node, as far as that can be known now.
    pub(crate) async fn of(&self, whose: &[Whose]) -> Vec<bool> {
        join_all(whose.iter().map(async |whose| self.has(whose) || self.others.have(whose).await)).await
    }

    /// Whether the device has a socket here.
    pub(crate) fn has(&self, whose: &Whose) -> bool {
        self.lock().by_device.contains_key(whose)
    }

    /// How many devices have a socket here.
    pub(crate) fn count(&self) -> usize {
        self.lock().by_device.len()
    }

    fn leave(&self, whose: &Whose, id: u64) {
        let mut connections = self.lock();
        if connections.by_device.get(whose).is_some_and(|entry| entry.id == id) {
            connections.by_device.remove(whose);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// The next reason to do something. Nothing is lost when this is dropped and called again.
    pub(crate) async fn next(&mut self) -> Nudge {
        loop {
            tokio::select! {
                biased;
                nudge = self.line.next() => return nudge,
                word = heard(self.among_nodes.as_deref_mut()) => match word {
                    Some(ToDevice::Stored) => return Nudge::Mailbox,
                    Some(ToDevice::Live(live)) => return Nudge::Live(live),
                    Some(ToDevice::Entered(at, by)) if (at, &by) > self.entered() => return Nudge::Replaced,
                    // The other one is told that it is the earlier.
                    Some(ToDevice::Entered(..)) => self.tell_entered(),
                    Some(ToDevice::Where) => {}
                    None => {
                        self.tell_entered();
                        return Nudge::Mailbox;
                    }
                },
            }
        }
    }

    fn entered(&self) -> (Timestamp, &NodeId) {
        (self.entered_at, self.online.others.me())
    }

    fn tell_entered(&self) {
        let (at, node) = self.entered();
        self.online.others.tell(&self.whose, &ToDevice::Entered(at, node.clone()));
    }
}

/// What another node says; none when it is time to tell and to look again.
async fn heard(among_nodes: Option<&mut AmongNodes>) -> Option<ToDevice> {
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
    use crate::metrics::Count;

    #[tokio::test(start_paused = true)]
    async fn everybody_is_sent_away_one_after_the_other_and_whoever_comes_late_at_once() {
        let online = online();
        let named = |name: &str| ("acme".parse().unwrap(), name.parse().unwrap());
        let mut seats = [
            online.enter(named("phone"), Timestamp::from_millis(1)).await,
            online.enter(named("tablet"), Timestamp::from_millis(1)).await,
        ];
        let began = Instant::now();
        online.send_away().await;
        assert!(began.elapsed() >= Duration::from_secs(2) / limits::DRAINED_PER_SECOND);
        for seat in &mut seats {
            assert_eq!(seat.next().await, Nudge::Leave);
        }
        let mut late = online.enter(named("browser"), Timestamp::from_millis(2)).await;
        assert_eq!(late.next().await, Nudge::Leave);
    }

    #[tokio::test]
    async fn the_goodbye_of_a_replaced_connection_leaves_its_successor() {
        let online = online();
        let whose: Whose = ("acme".parse().unwrap(), "phone".parse().unwrap());
        let mut first = online.enter(whose.clone(), Timestamp::from_millis(1)).await;
        let second = online.enter(whose.clone(), Timestamp::from_millis(2)).await;
        assert_eq!(first.next().await, Nudge::Replaced);
        drop(first);
        assert!(online.has(&whose));
        drop(second);
        assert!(!online.has(&whose));
    }

    fn online() -> Arc<Online> {
        let keys = RootKeys::new([7; 32], []).ring(Scope::Host);
        Arc::new(Online::new(Others::new(None, "here".parse().unwrap(), keys, Count::default())))
    }
}
