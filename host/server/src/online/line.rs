//! What one connection has to hear.
//!
//! Thousands of connections are idle: nothing is set aside here for what nobody has said yet.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use switchhook_core::row::StoredMessage;
use tokio::sync::Notify;

use super::{Live, Nudge};
use crate::limits;

/// The way to one connection: any number of those who say something, one who hears it.
#[derive(Default)]
pub(super) struct Line {
    waiting: Mutex<Waiting>,
    /// Something waits.
    bell: Notify,
}

#[derive(Default)]
struct Waiting {
    leave: bool,
    replaced: bool,
    mailbox: bool,
    /// In no order that counts.
    stored: Vec<StoredMessage>,
    live: VecDeque<Live>,
}

impl Line {
    /// The server ends.
    pub(super) fn send_away(&self) {
        self.lock().leave = true;
        self.bell.notify_one();
    }

    /// Another connection took over.
    pub(super) fn replace(&self) {
        self.lock().replaced = true;
        self.bell.notify_one();
    }

    /// Something may be in the mailbox.
    pub(super) fn hint(&self) {
        self.lock().mailbox = true;
        self.bell.notify_one();
    }

    /// This was put into the mailbox.
    pub(super) fn stored(&self, message: StoredMessage) {
        self.lock().store(message);
        self.bell.notify_one();
    }

    /// Passes a live message on. False: too many wait already, it is dropped.
    pub(super) fn pass_on(&self, live: Live) -> bool {
        let kept = self.lock().keep(live);
        if kept {
            self.bell.notify_one();
        }
        kept
    }

    /// The next reason to do something. Nothing is lost when this is dropped and called again.
    pub(super) async fn next(&self) -> Nudge {
        loop {
            if let Some(nudge) = self.lock().next() {
                return nudge;
            }
            // A bell that rang in between is heard.
            self.bell.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn keep(&mut self, live: Live) -> bool {
        if let Some(earlier) = self.live.iter_mut().find(|earlier| live.replaces(earlier)) {
            *earlier = live;
            return true;
        }
        let fits = self.live.len() < limits::LIVE_QUEUE;
        if fits {
            self.live.push_back(live);
        }
        fits
    }

    /// More than a few are better read together.
    fn store(&mut self, message: StoredMessage) {
        if self.stored.len() < limits::HANDED_ON {
            self.stored.push(message);
        } else {
            self.mailbox = true;
        }
    }

    fn next(&mut self) -> Option<Nudge> {
        if self.leave {
            return Some(Nudge::Leave);
        }
        if self.replaced {
            return Some(Nudge::Replaced);
        }
        if let Some(live) = self.live.pop_front() {
            if self.live.is_empty() {
                self.live = VecDeque::new();
            }
            return Some(Nudge::Live(live));
        }
        // Whoever reads the mailbox finds these there.
        let stored = std::mem::take(&mut self.stored);
        if std::mem::take(&mut self.mailbox) {
            return Some(Nudge::Mailbox);
        }
        (!stored.is_empty()).then_some(Nudge::Stored(stored))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use switchhook_protocol::{server::PeerSignal, time::Timestamp};

    use super::*;

    #[test]
    fn what_is_said_is_heard_once_and_the_end_before_everything() {
        let line = Line::default();
        let next = || line.next().now_or_never();
        assert_eq!(next(), None);
        line.hint();
        line.hint();
        assert!(line.pass_on(signal("one")));
        assert_eq!(next(), Some(Nudge::Live(signal("one"))));
        assert_eq!(next(), Some(Nudge::Mailbox));
        assert_eq!(next(), None);
        line.hint();
        line.replace();
        assert_eq!(next(), Some(Nudge::Replaced));
        line.send_away();
        assert_eq!(next(), Some(Nudge::Leave));
    }

    #[test]
    fn only_so_many_live_messages_wait_and_those_that_do_stay_in_order() {
        let line = Line::default();
        for number in 0..limits::LIVE_QUEUE {
            assert!(line.pass_on(signal(&number.to_string())));
        }
        assert!(!line.pass_on(signal("one too many")));
        for number in 0..limits::LIVE_QUEUE {
            let heard = line.next().now_or_never();
            assert_eq!(heard, Some(Nudge::Live(signal(&number.to_string()))));
        }
        assert_eq!(line.next().now_or_never(), None);
    }

    #[test]
    fn of_what_somebody_says_of_their_presence_the_last_waits_alone() {
        let line = Line::default();
        let presence = |from: &str, data: &str| Live::Presence(said(from, data));
        for number in 0..=limits::LIVE_QUEUE {
            assert!(line.pass_on(presence("alice", &number.to_string())), "none of them is too many");
        }
        let spoken =
            [presence("bob", "away"), Live::Signal(said("alice", "candidate")), presence("alice", "back")];
        for live in spoken.clone() {
            assert!(line.pass_on(live));
        }
        let [bobs, signal, alices] = spoken;
        for expected in [alices, bobs, signal] {
            assert_eq!(line.next().now_or_never(), Some(Nudge::Live(expected)));
        }
        assert_eq!(line.next().now_or_never(), None);
    }

    #[test]
    fn what_was_stored_is_handed_on_as_long_as_it_is_little() {
        let line = Line::default();
        let next = || line.next().now_or_never();
        line.stored(message(1));
        line.stored(message(2));
        assert_eq!(next(), Some(Nudge::Stored(vec![message(1), message(2)])));
        for seq in 0..=limits::HANDED_ON {
            line.stored(message(u64::try_from(seq).unwrap()));
        }
        assert_eq!(next(), Some(Nudge::Mailbox));
        assert_eq!(next(), None, "whoever reads the mailbox has all of them");
    }

    #[tokio::test]
    async fn whoever_waits_is_woken() {
        let line = Line::default();
        let (heard, ()) = tokio::join!(line.next(), async { line.hint() });
        assert_eq!(heard, Nudge::Mailbox);
    }

    fn message(seq: u64) -> StoredMessage {
        let (id, event) = ("m".parse().unwrap(), "{}".to_owned());
        StoredMessage { seq, id, event, expires_at: Timestamp::from_millis(1), delivered: false }
    }

    fn signal(data: &str) -> Live {
        Live::Signal(said("alias", data))
    }

    fn said(from: &str, data: &str) -> PeerSignal {
        PeerSignal { session: "s".parse().unwrap(), from: from.to_owned(), data: data.into() }
    }
}
