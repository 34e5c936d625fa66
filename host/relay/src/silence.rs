//! Who has been silent gives way: a client that moves leaves allocations behind that nobody uses any more.
//!
//! A relay learns that a client has gone to another address from nothing but its silence at the former one, and an
//! allocation lives for ten minutes. So where there is no room for another allocation of a participant, the one of
//! its own gives way whose client has been silent longest, and for longer than any client in use is
//! ([`limits::SILENCE`]). Nobody else's ever does, and what gives way leaves its place: no quota is exceeded.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use switchhook_protocol::time::millis;

use crate::limits;

/// Which of a participant's allocations gives way, by when their clients were last heard.
pub(crate) fn gives_way(heard: impl IntoIterator<Item = Duration>, now: Duration) -> Option<usize> {
    let silent = |(_, heard): &(usize, Duration)| now.saturating_sub(*heard) >= limits::SILENCE;
    let longest = heard.into_iter().enumerate().filter(silent).min_by_key(|(_, heard)| *heard);
    longest.map(|(at, _)| at)
}

/// What is known of an allocation by all shards. Times are since the relay's start.
#[derive(Debug)]
pub(crate) struct Seat {
    /// When its client was last heard, in milliseconds; up to [`limits::HEARD_AGAIN`] behind.
    heard: AtomicU64,
    /// Another has its place: it is to end.
    given_up: AtomicBool,
}

impl Seat {
    pub(crate) fn new(now: Duration) -> Self {
        Self { heard: AtomicU64::new(millis(now)), given_up: AtomicBool::new(false) }
    }

    pub(crate) fn heard(&self) -> Duration {
        Duration::from_millis(self.heard.load(Ordering::Relaxed))
    }

    pub(crate) fn hear(&self, now: Duration) {
        self.heard.store(millis(now), Ordering::Relaxed);
    }

    pub(crate) fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_hours(1);

    fn ago(seconds: u64) -> Duration {
        NOW.checked_sub(Duration::from_secs(seconds)).unwrap()
    }

    #[test]
    fn rel_3_the_longest_silent_gives_way_and_none_that_is_in_use() {
        assert_eq!(gives_way([], NOW), None);
        assert_eq!(gives_way([ago(0), ago(29)], NOW), None, "a client says something in thirty seconds");
        assert_eq!(gives_way([ago(0), ago(30)], NOW), Some(1));
        assert_eq!(gives_way([ago(40), ago(500), ago(3)], NOW), Some(1));
    }

    #[test]
    fn what_another_shard_has_heard_meanwhile_is_no_silence() {
        assert_eq!(gives_way([NOW + Duration::from_secs(1)], NOW), None);
    }
}
