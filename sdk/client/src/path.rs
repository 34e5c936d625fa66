//! A search for a path to one peer, by authenticated connectivity checks (NAT-4).
//!
//! Both sides send STUN Binding requests to every address that the other may have, one at a time and
//! again and again: each opens its own NAT for the other. Who receives an authentic request answers
//! it **to where it came from**, and tries that address too, whether it was announced or not: behind
//! a symmetric NAT the announced one is wrong, and the observed one is right (RFC 8445 §7.3.1.3,
//! peer-reflexive candidates). An answer from the address that was asked proves that the path works
//! both ways. The inviter then says which path it takes, by a request that nominates it, and the path
//! is found for each side when that request is answered.
//!
//! What is not authentic is not answered: a stranger learns nothing and cannot have us send.
//!
//! Drive it like every machine here: after each `handle_*`, take effects until there are none, then
//! wait for the next input or for [`PathSearch::poll_timeout`], whichever comes first.

use core::{net::SocketAddr, time::Duration};
use std::{collections::VecDeque, time::Instant};

use rand::{RngExt as _, rngs::StdRng};

use crate::{
    limits,
    secure::Side,
    stun::{Check, Checks},
};

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Send this datagram.
    Send { to: SocketAddr, datagram: Vec<u8> },
    /// The path is found: the peer is reached here.
    Selected(SocketAddr),
    /// Patience is over.
    NeedRelay,
}

/// The datagram is not an authentic check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotACheck;

/// See the module.
pub(crate) struct PathSearch {
    checks: Checks,
    side: Side,
    pairs: Vec<Pair>,
    nominated: Option<Nomination>,
    outcome: Option<Outcome>,
    give_up: Instant,
    next_check: Instant,
    effects: VecDeque<Effect>,
    rng: StdRng,
}

/// An address of the peer's, and how far it got.
#[derive(Debug)]
struct Pair {
    addr: SocketAddr,
    transaction: u128,
    works: bool,
    /// The peer means to use it.
    wanted: bool,
    due: Instant,
    repeat: Duration,
}

/// The inviter's choice.
#[derive(Debug)]
struct Nomination {
    addr: SocketAddr,
    transaction: u128,
    due: Instant,
    repeat: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Selected,
    GaveUp,
}

impl PathSearch {
    /// Searches among these addresses, the best first, for as long as patience lasts.
    pub(crate) fn new(
        checks: Checks,
        side: Side,
        candidates: impl IntoIterator<Item = SocketAddr>,
        patience: Duration,
        now: Instant,
        rng: StdRng,
    ) -> Self {
        let mut search = Self {
            checks,
            side,
            pairs: Vec::new(),
            nominated: None,
            outcome: None,
            give_up: now + patience,
            next_check: now,
            effects: VecDeque::new(),
            rng,
        };
        for addr in candidates {
            search.add_candidate(addr, now);
        }
        search
    }

    /// Tries one more address of the peer.
    pub(crate) fn add_candidate(&mut self, addr: SocketAddr, now: Instant) {
        if self.pairs.len() >= limits::CANDIDATES || self.pairs.iter().any(|pair| pair.addr == addr) {
            return;
        }
        let transaction = self.transaction();
        let (works, wanted, repeat) = (false, false, limits::CHECK_REPEAT);
        self.pairs.push(Pair { addr, transaction, works, wanted, due: now, repeat });
    }

    /// Takes in a datagram, if it is an authentic check.
    pub(crate) fn handle_datagram(
        &mut self,
        from: SocketAddr,
        datagram: &[u8],
        now: Instant,
    ) -> Result<(), NotACheck> {
        match self.checks.read(datagram).ok_or(NotACheck)? {
            Check::Request { transaction, nominates } => self.asked(from, transaction, nominates, now),
            Check::Success { transaction } => self.answered(from, transaction, now),
        }
        Ok(())
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.outcome.is_some() {
            return;
        }
        if self.give_up <= now {
            self.outcome = Some(Outcome::GaveUp);
            self.effects.push_back(Effect::NeedRelay);
            return;
        }
        if self.next_check <= now && (self.nominate(now) || self.check(now)) {
            self.next_check = now + limits::CHECK_PACE;
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        if self.outcome.is_some() {
            return None;
        }
        let nomination = self.nominated.iter().map(|nomination| nomination.due);
        let checks = self.pairs.iter().filter(|pair| !pair.works).map(|pair| pair.due);
        let due = nomination.chain(checks).min().map(|due| due.max(self.next_check));
        Some(due.map_or(self.give_up, |due| due.min(self.give_up)))
    }

    pub(crate) fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// The peer asks: answer to where it came from, and try that address at once.
    fn asked(&mut self, from: SocketAddr, transaction: u128, nominates: bool, now: Instant) {
        if let Some(datagram) = self.checks.success(transaction, from) {
            self.effects.push_back(Effect::Send { to: from, datagram });
        }
        self.add_candidate(from, now);
        let nominates = nominates && self.side == Side::Callee;
        let Some(pair) = self.pairs.iter_mut().find(|pair| pair.addr == from) else { return };
        pair.wanted |= nominates;
        if pair.works {
            return self.select_wanted();
        }
        pair.due = now;
        pair.repeat = limits::CHECK_REPEAT;
    }

    /// The peer answers what was asked of it at this address.
    fn answered(&mut self, from: SocketAddr, transaction: u128, now: Instant) {
        let nomination = self.nominated.as_ref();
        if nomination.is_some_and(|chosen| chosen.addr == from && chosen.transaction == transaction) {
            return self.select(from);
        }
        let matches = |pair: &&mut Pair| pair.addr == from && pair.transaction == transaction;
        let Some(pair) = self.pairs.iter_mut().find(matches) else { return };
        pair.works = true;
        match self.side {
            Side::Callee => self.select_wanted(),
            Side::Inviter => self.choose(from, now),
        }
    }

    /// The first path that works is the fastest.
    fn choose(&mut self, addr: SocketAddr, now: Instant) {
        if self.nominated.is_none() && self.outcome.is_none() {
            let transaction = self.transaction();
            self.nominated = Some(Nomination { addr, transaction, due: now, repeat: limits::CHECK_REPEAT });
            self.next_check = now;
        }
    }

    fn select_wanted(&mut self) {
        let wanted = self.pairs.iter().find(|pair| pair.works && pair.wanted).map(|pair| pair.addr);
        if let Some(addr) = wanted {
            self.select(addr);
        }
    }

    fn select(&mut self, addr: SocketAddr) {
        if self.outcome.is_none() {
            self.outcome = Some(Outcome::Selected);
            self.effects.push_back(Effect::Selected(addr));
        }
    }

    fn nominate(&mut self, now: Instant) -> bool {
        let Some(nomination) = self.nominated.as_mut().filter(|nomination| nomination.due <= now) else {
            return false;
        };
        nomination.due = now + nomination.repeat;
        nomination.repeat = longer(nomination.repeat);
        let (to, request) = (nomination.addr, self.checks.request(nomination.transaction, true));
        self.effects.extend(request.map(|datagram| Effect::Send { to, datagram }));
        true
    }

    fn check(&mut self, now: Instant) -> bool {
        // Whoever waits longest is next; of those that wait equally long, the best.
        let waiting = self.pairs.iter_mut().filter(|pair| !pair.works && pair.due <= now);
        let Some(pair) = waiting.min_by_key(|pair| pair.due) else { return false };
        pair.due = now + pair.repeat;
        pair.repeat = longer(pair.repeat);
        let (to, request) = (pair.addr, self.checks.request(pair.transaction, false));
        self.effects.extend(request.map(|datagram| Effect::Send { to, datagram }));
        true
    }

    /// 96 random bits.
    fn transaction(&mut self) -> u128 {
        self.rng.random::<u128>() >> 32
    }
}

fn longer(repeat: Duration) -> Duration {
    (repeat * 2).min(limits::CHECK_REPEAT_MAX)
}

#[cfg(test)]
mod tests;
