//! What the peer's checks and answers change: who is asked next, what is chosen, and what is found.

use core::net::SocketAddr;
use std::time::Instant;

use super::{Effect, PathSearch, State, kept::Kept, nomination::Nomination, pairs::Pair};
use crate::secure::Side;

impl PathSearch {
    /// The peer asks: answer to where it came from, and try that address at once.
    pub(super) fn asked(&mut self, from: SocketAddr, transaction: u128, nominates: bool, now: Instant) {
        if let Some(datagram) = self.checks.success(transaction, from) {
            self.effects.push_back(Effect::Send { to: from, datagram });
        }
        self.heard(from, now);
        if nominates && self.side == Side::Callee {
            for pair in self.pairs.iter_mut() {
                pair.wanted = pair.addr == from;
            }
        }
        if self.pairs.at(from).is_some_and(|pair| pair.works) {
            self.select_wanted(now);
        }
    }

    /// The peer is here, or was a moment ago: the address is asked at once.
    pub(super) fn heard(&mut self, from: SocketAddr, now: Instant) {
        let transaction = self.transaction();
        self.pairs.add(Pair::new(from, transaction, now), true);
        if let Some(pair) = self.pairs.at(from).filter(|pair| !pair.works) {
            pair.hurry(now);
        }
    }

    /// The peer answers what was asked of it at this address.
    pub(super) fn answered(&mut self, from: SocketAddr, transaction: u128, now: Instant) {
        let (fresh, pause) = (self.transaction(), self.pause());
        if let State::Keeping(kept) = &mut self.state
            && (kept.addr, kept.transaction) == (from, transaction)
        {
            kept.answered(fresh, pause, now);
            self.last_answer = Some(now);
            return;
        }
        let nomination = self.nominated.as_ref();
        if nomination.is_some_and(|chosen| chosen.addr == from && chosen.transaction == transaction) {
            return self.select(from, now);
        }
        let Some(pair) = self.pairs.at(from).filter(|pair| pair.transaction == transaction) else { return };
        pair.works = true;
        match self.side {
            Side::Callee => self.select_wanted(now),
            Side::Inviter => self.choose(from, now),
        }
    }

    /// The first path that works is the fastest.
    fn choose(&mut self, addr: SocketAddr, now: Instant) {
        if self.nominated.is_none() && self.is_searching() {
            self.nominated = Some(Nomination::new(addr, self.transaction(), now));
            self.next_check = now;
            self.effects.push_back(Effect::Chosen(addr));
        }
    }

    /// What was chosen answers no more: another that works is, if there is one.
    pub(super) fn choose_another(&mut self, now: Instant) {
        let Some(chosen) = self.nominated.take() else { return };
        let transaction = self.transaction();
        if let Some(pair) = self.pairs.at(chosen.addr) {
            *pair = Pair::new(pair.addr, transaction, now);
        }
        let other = self.pairs.iter().find(|pair| pair.works).map(|pair| pair.addr);
        if let Some(other) = other {
            self.choose(other, now);
        }
    }

    fn select_wanted(&mut self, now: Instant) {
        let wanted = self.pairs.iter().find(|pair| pair.works && pair.wanted).map(|pair| pair.addr);
        if let Some(addr) = wanted {
            self.select(addr, now);
        }
    }

    fn select(&mut self, addr: SocketAddr, now: Instant) {
        if self.selected() == Some(addr) || matches!(self.state, State::GaveUp) {
            return;
        }
        for pair in self.pairs.iter_mut().filter(|pair| pair.addr != addr) {
            pair.works = false;
        }
        let (transaction, pause) = (self.transaction(), self.pause());
        self.nominated = None;
        self.state = State::Keeping(Kept::new(addr, transaction, pause, now));
        self.effects.push_back(Effect::Selected(addr));
    }
}
