//! Which events are new to the application.
//!
//! The host delivers at least once. Within an epoch the sequence number tells repeats; across epochs
//! (a restored host counts anew) the message id does, as far as it is remembered.

use std::collections::{HashSet, VecDeque};

use switchhook_protocol::{client::Cursor, event::Delivered, id::MessageId};

use crate::limits;

#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    /// The last event handed over.
    place: Option<Cursor>,
    /// The last event that the application is done with.
    handled: Option<Cursor>,
    recent: VecDeque<MessageId>,
    known: HashSet<MessageId>,
}

/// What an arriving event is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The application has not seen it.
    New,
    /// Seen, at a place that is new: it counts as handled when all before it is.
    SeenElsewhere,
    /// Seen, at this place.
    Repeat,
}

impl Mailbox {
    pub(crate) fn resume(cursor: Option<Cursor>) -> Self {
        Self { place: cursor.clone(), handled: cursor, ..Self::default() }
    }

    /// What the application is done with, for `hello` and for its store.
    pub(crate) const fn handled(&self) -> Option<&Cursor> {
        self.handled.as_ref()
    }

    pub(crate) fn arrive(&mut self, delivered: &Delivered) -> Arrival {
        let at = Cursor { epoch: delivered.epoch.clone(), seq: delivered.seq };
        if self.place.as_ref().is_some_and(|place| place.epoch == at.epoch && at.seq <= place.seq) {
            return Arrival::Repeat;
        }
        self.place = Some(at);
        if !self.known.insert(delivered.message_id.clone()) {
            return Arrival::SeenElsewhere;
        }
        self.recent.push_back(delivered.message_id.clone());
        if self.recent.len() > limits::REMEMBERED
            && let Some(oldest) = self.recent.pop_front()
        {
            self.known.remove(&oldest);
        }
        Arrival::New
    }

    /// The application is done with everything up to here; false if that is no news.
    pub(crate) fn handle(&mut self, cursor: Cursor) -> bool {
        let behind = |known: &Cursor| known.epoch == cursor.epoch && known.seq >= cursor.seq;
        if self.handled.as_ref().is_some_and(behind) {
            return false;
        }
        self.handled = Some(cursor);
        true
    }
}

#[cfg(test)]
mod tests {
    use switchhook_protocol::{
        event::{CancelRing, Event},
        invitation::StopReason,
    };

    use super::*;

    fn delivered(epoch: &str, seq: u64, message_id: &str) -> Delivered {
        Delivered {
            seq,
            epoch: epoch.parse().unwrap(),
            message_id: message_id.parse().unwrap(),
            redelivered: false,
            expires_in_ms: None,
            event: Event::Cancel(CancelRing { session: "s".parse().unwrap(), reason: StopReason::Cancelled }),
        }
    }

    fn cursor(epoch: &str, seq: u64) -> Cursor {
        Cursor { epoch: epoch.parse().unwrap(), seq }
    }

    #[test]
    fn push_3_a_repeat_is_told_by_its_place_and_across_epochs_by_its_message_id() {
        let mut mailbox = Mailbox::default();
        assert_eq!(mailbox.arrive(&delivered("a", 1, "m1")), Arrival::New);
        assert_eq!(mailbox.arrive(&delivered("a", 1, "m1")), Arrival::Repeat);
        assert_eq!(mailbox.arrive(&delivered("b", 1, "m1")), Arrival::SeenElsewhere);
        assert_eq!(mailbox.arrive(&delivered("b", 2, "m2")), Arrival::New);
    }

    #[test]
    fn what_the_application_has_not_handled_is_not_claimed() {
        let mut mailbox = Mailbox::resume(Some(cursor("a", 4)));
        assert_eq!(mailbox.arrive(&delivered("a", 5, "m5")), Arrival::New);
        assert_eq!(mailbox.handled(), Some(&cursor("a", 4)));
        assert!(mailbox.handle(cursor("a", 5)));
        assert!(!mailbox.handle(cursor("a", 5)));
        assert_eq!(mailbox.handled(), Some(&cursor("a", 5)));
    }

    #[test]
    fn memory_is_bounded() {
        let mut mailbox = Mailbox::default();
        for seq in 1..=2_000 {
            mailbox.arrive(&delivered("a", seq, &format!("m{seq}")));
        }
        assert_eq!((mailbox.recent.len(), mailbox.known.len()), (limits::REMEMBERED, limits::REMEMBERED));
    }
}
