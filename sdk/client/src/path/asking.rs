//! Whom a search asks, and when.

use core::{net::SocketAddr, time::Duration};
use std::time::Instant;

use rand::RngExt as _;

use super::{Effect, PathSearch, State, pairs::Pair};
use crate::{limits, secure::Side};

impl PathSearch {
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        match &mut self.state {
            State::Searching(Some(give_up)) if *give_up <= now => {
                self.state = State::GaveUp;
                self.effects.push_back(Effect::NeedRelay);
                return;
            }
            State::Keeping(kept) if kept.is_in_doubt(now) => {
                self.effects.push_back(Effect::InDoubt);
                self.search_again(self.pace, now);
            }
            State::Keeping(kept) => {
                if kept.asks(now) {
                    let (to, transaction) = (kept.addr, kept.transaction);
                    self.send(to, transaction, self.side == Side::Inviter);
                }
            }
            State::GaveUp => return,
            State::Searching(_) => {}
        }
        if self.nominated.as_ref().is_some_and(|chosen| chosen.is_in_vain(now)) {
            self.choose_another(now);
        }
        if self.next_check <= now && (self.nominate(now) || self.check(now)) {
            self.next_check = now + limits::CHECK_PACE;
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let own = match &self.state {
            State::GaveUp => return None,
            State::Searching(give_up) => *give_up,
            State::Keeping(kept) => Some(kept.poll_timeout()),
        };
        let nomination = self.nominated.iter().map(|chosen| chosen.poll_timeout(self.next_check));
        let searching = self.is_searching();
        let checks = self.pairs.iter().filter(|pair| is_open(pair, searching));
        let checks = checks.map(|pair| pair.due.max(self.next_check));
        own.into_iter().chain(nomination).chain(checks).min()
    }

    fn nominate(&mut self, now: Instant) -> bool {
        let longest = self.pace.repeat_max;
        let Some(chosen) = &mut self.nominated else { return false };
        let (asks, to, transaction) = (chosen.asks(longest, now), chosen.addr, chosen.transaction);
        if asks {
            self.send(to, transaction, true);
        }
        asks
    }

    fn check(&mut self, now: Instant) -> bool {
        let (searching, longest) = (self.is_searching(), self.pace.repeat_max);
        let Some(pair) = self.pairs.next(|pair| is_open(pair, searching), now) else { return false };
        pair.asked(longest, now);
        let (to, transaction) = (pair.addr, pair.transaction);
        self.send(to, transaction, false);
        true
    }

    pub(super) fn send(&mut self, to: SocketAddr, transaction: u128, nominates: bool) {
        let request = self.checks.request(transaction, nominates);
        self.effects.extend(request.map(|datagram| Effect::Send { to, datagram }));
    }

    /// RFC 7675 §5.1: not all at once.
    pub(super) fn pause(&mut self) -> Duration {
        self.rng.random_range(self.ask_every * 4 / 5..self.ask_every * 6 / 5)
    }
}

/// Whether an address is asked again: all in a search, later only where the peer wants to go.
const fn is_open(pair: &Pair, searching: bool) -> bool {
    !pair.works && (pair.wanted || searching)
}
