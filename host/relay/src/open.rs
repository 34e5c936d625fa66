//! Which streams are open: one for each address and port, and for each subscriber its share.
//!
//! A client whose connection broke may come again from the same address and port before its old stream has
//! ended here. Both are told apart by their numbers. The successor waits until the relay has taken the old
//! one's goodbye: so the goodbye gives up the old allocation and never the new one, and what ends takes
//! only itself away.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use switchhook_core::subscriber::Shares;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::limits;

/// The streams that are open, by their clients.
pub(crate) struct Open(Mutex<State>);

struct State {
    streams: HashMap<SocketAddr, Stream>,
    shares: Shares,
    numbers: u64,
}

struct Stream {
    number: u64,
    answers: Sender<Vec<u8>>,
    left: CancellationToken,
}

/// A stream's place among those that are open. Dropped, it is free: after the stream's goodbye, or without
/// one where there is no relay any more.
pub(crate) struct Place {
    open: Arc<Open>,
    pub(crate) from: SocketAddr,
    number: u64,
    predecessor: Option<CancellationToken>,
    _left: DropGuard,
}

impl Open {
    pub(crate) fn new() -> Self {
        let shares = Shares::new(limits::STREAMS, limits::STREAMS_EACH);
        Self(Mutex::new(State { streams: HashMap::new(), shares, numbers: 0 }))
    }

    /// Gives a stream its place, and the answers that it is to give out; nothing where there is no room.
    pub(crate) fn admit(self: &Arc<Self>, from: SocketAddr) -> Option<(Place, Receiver<Vec<u8>>)> {
        let mut state = self.state();
        if !state.shares.take(from.ip().into()) {
            return None;
        }
        state.numbers += 1;
        let (sender, answers) = channel(limits::WAITING);
        let left = CancellationToken::new();
        let stream = Stream { number: state.numbers, answers: sender, left: left.clone() };
        let number = stream.number;
        // A predecessor ends by this, too: nobody is left to give it answers.
        let predecessor = state.streams.insert(from, stream).map(|stream| stream.left);
        drop(state);
        let open = Arc::clone(self);
        Some((Place { open, from, number, predecessor, _left: left.drop_guard() }, answers))
    }

    /// Where answers to a client go.
    pub(crate) fn answers_to(&self, client: SocketAddr) -> Option<Sender<Vec<u8>>> {
        self.state().streams.get(&client).map(|stream| stream.answers.clone())
    }

    /// Entries are inserted and removed at once: nothing is left half done by a panic.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits until the stream that had this address before has left, if there was one.
    pub(crate) async fn predecessor_left(&self) {
        if let Some(predecessor) = &self.predecessor {
            predecessor.cancelled().await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.open.state();
        state.shares.give_back(self.from.ip().into());
        if state.streams.get(&self.from).is_some_and(|stream| stream.number == self.number) {
            state.streams.remove(&self.from);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn who_leaves_takes_away_itself_and_not_its_successor() {
        let (open, from) = (Arc::new(Open::new()), addr("192.0.2.1:1"));
        let (old, mut answers_to_old) = open.admit(from).unwrap();
        let (new, mut answers_to_new) = open.admit(from).unwrap();
        assert_eq!(answers_to_old.recv().await, None, "the old one ends");
        drop(old);
        new.predecessor_left().await;

        open.answers_to(from).unwrap().try_send(b"answer".to_vec()).unwrap();

        assert_eq!(answers_to_new.recv().await, Some(b"answer".to_vec()));
        drop(new);
        assert!(open.answers_to(from).is_none());
        assert_eq!(open.state().shares, Shares::new(limits::STREAMS, limits::STREAMS_EACH));
    }

    #[test]
    fn one_subscriber_leaves_room_for_others() {
        let open = Arc::new(Open::new());
        let streams = |ip: &str| -> Vec<_> {
            let ports = 1..=u16::MAX;
            ports.map_while(|port| open.admit(SocketAddr::new(ip.parse().unwrap(), port))).collect()
        };
        let held = streams("192.0.2.1");
        assert_eq!(held.len(), limits::STREAMS_EACH);
        assert_eq!(streams("2001:db8::1").len(), limits::STREAMS_EACH);
    }
}
