//! The peer's addresses, and how far each of them got.
//!
//! There is room for [`limits::CANDIDATES`]. When it is full, an address from which the peer was heard takes the
//! place of the worst: one that was asked most often in vain, and from which the peer was not heard. An address that the peer has only named takes the
//! place of one that was asked, and not of one whose turn has not come.

use core::{cmp::Reverse, net::SocketAddr, time::Duration};
use std::time::Instant;

use crate::limits;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Pairs(Vec<Pair>);

/// An address of the peer's, and how far it got.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) addr: SocketAddr,
    pub(super) transaction: u128,
    /// It was answered from here.
    pub(super) works: bool,
    /// The peer means to use it.
    pub(super) wanted: bool,
    /// The peer has sent from here.
    pub(super) is_heard: bool,
    pub(super) due: Instant,
    pub(super) repeat: Duration,
}

impl Pair {
    pub(super) const fn new(addr: SocketAddr, transaction: u128, now: Instant) -> Self {
        Self {
            addr,
            transaction,
            works: false,
            wanted: false,
            is_heard: false,
            due: now,
            repeat: limits::CHECK_REPEAT,
        }
    }

    /// It was asked now, and is asked again later and later.
    pub(super) fn asked(&mut self, longest: Duration, now: Instant) {
        self.due = now + self.repeat;
        self.repeat = (self.repeat * 2).min(longest);
    }

    /// It is asked at once, and soon again.
    pub(super) const fn hurry(&mut self, now: Instant) {
        self.due = now;
        self.repeat = limits::CHECK_REPEAT;
    }

    fn was_asked(&self) -> bool {
        self.repeat > limits::CHECK_REPEAT
    }
}

impl Pairs {
    /// Adds an address, if it is new and there is room for it.
    pub(super) fn add(&mut self, mut pair: Pair, is_heard: bool) {
        if let Some(known) = self.at(pair.addr) {
            known.is_heard |= is_heard;
            return;
        }
        pair.is_heard = is_heard;
        if self.0.len() >= limits::CANDIDATES {
            let Some(worst) = self.worst(is_heard) else { return };
            self.0.remove(worst);
        }
        self.0.push(pair);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Pair> {
        self.0.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Pair> {
        self.0.iter_mut()
    }

    pub(super) fn at(&mut self, addr: SocketAddr) -> Option<&mut Pair> {
        self.0.iter_mut().find(|pair| pair.addr == addr)
    }

    /// Whoever waits longest is next; of those that wait equally long, the best.
    pub(super) fn next(&mut self, is_open: impl Fn(&Pair) -> bool, now: Instant) -> Option<&mut Pair> {
        self.0.iter_mut().filter(|pair| pair.due <= now && is_open(pair)).min_by_key(|pair| pair.due)
    }

    /// Where the place that is given up stands; the last of those that are equally bad.
    fn worst(&self, even_unasked: bool) -> Option<usize> {
        let idle = |pair: &Pair| !pair.works && !pair.wanted && (even_unasked || pair.was_asked());
        let places = self.0.iter().enumerate().filter(|(_, pair)| idle(pair));
        places.min_by_key(|(at, pair)| (pair.is_heard, Reverse(pair.repeat), Reverse(*at))).map(|(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn addr(port: usize) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 7], u16::try_from(port).unwrap()))
    }

    fn full(now: Instant) -> Pairs {
        let mut pairs = Pairs::default();
        for port in 0..limits::CANDIDATES {
            pairs.add(Pair::new(addr(port), 1, now), false);
        }
        pairs
    }

    fn knows(pairs: &Pairs, port: usize) -> bool {
        pairs.iter().any(|pair| pair.addr == addr(port))
    }

    #[test]
    fn where_the_table_is_full_who_was_heard_takes_the_place_of_what_was_asked_most_often_in_vain() {
        let now = now();
        let mut pairs = full(now);
        for _ in 0..3 {
            pairs.at(addr(4)).unwrap().asked(limits::CHECK_REPEAT_MAX, now);
        }
        pairs.at(addr(9)).unwrap().asked(limits::CHECK_REPEAT_MAX, now);
        for (new, gone) in [(100, 4), (101, 9), (102, limits::CANDIDATES - 1)] {
            pairs.add(Pair::new(addr(new), 1, now), true);
            assert!(knows(&pairs, new) && !knows(&pairs, gone), "{new} in place of {gone}");
        }
        assert_eq!(pairs.iter().count(), limits::CANDIDATES);
    }

    #[test]
    fn what_is_only_named_takes_no_place_of_what_has_not_had_its_turn() {
        let now = now();
        let mut pairs = full(now);
        pairs.add(Pair::new(addr(100), 1, now), false);
        assert!(!knows(&pairs, 100));
        pairs.at(addr(2)).unwrap().asked(limits::CHECK_REPEAT_MAX, now);
        pairs.add(Pair::new(addr(100), 1, now), false);
        assert!(knows(&pairs, 100) && !knows(&pairs, 2));
    }

    #[test]
    fn what_works_or_is_wanted_keeps_its_place() {
        let now = now();
        let mut pairs = full(now);
        for (at, pair) in pairs.iter_mut().enumerate() {
            pair.asked(limits::CHECK_REPEAT_MAX, now);
            (pair.works, pair.wanted) = (at % 2 == 0, at % 2 == 1);
        }
        pairs.add(Pair::new(addr(100), 1, now), true);
        assert!(!knows(&pairs, 100));
    }
}
