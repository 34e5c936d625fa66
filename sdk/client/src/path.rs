//! A search for a path to one peer, by authenticated connectivity checks (NAT-4), and its keeping (NAT-5).
//!
//! Both sides send STUN Binding requests to every address that the other may have, one at a time and
//! again and again: each opens its own NAT for the other. Who receives an authentic request answers
//! it **to where it came from**, and tries that address too, whether it was announced or not: behind
//! a symmetric NAT the announced one is wrong, and the observed one is right (RFC 8445 §7.3.1.3,
//! peer-reflexive candidates). An answer from the address that was asked proves that the path works
//! both ways. The inviter then says which path it takes, by a request that nominates it, and the path
//! is found for each side when that request is answered.
//!
//! **A path that was found is asked again and again** ([`kept`]). Without answers it is in doubt: the search
//! begins anew, with every address that is known, while the old path stays in use. Who has got another address,
//! knowingly or not, is found by its own checks; the callee follows the inviter's choice at any time.
//!
//! What is not authentic is not answered: a stranger learns nothing and cannot have us send.
//!
//! Drive it like every machine here: after each `handle_*`, take effects until there are none, then
//! wait for the next input or for [`PathSearch::poll_timeout`], whichever comes first.

mod kept;
mod pace;

use core::{net::SocketAddr, time::Duration};
use std::{collections::VecDeque, time::Instant};

use rand::{RngExt as _, rngs::StdRng};

use self::kept::Kept;
pub(crate) use self::pace::Pace;
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
    /// The path is found, or another one: the peer is reached here.
    Selected(SocketAddr),
    /// The path that was found does not answer; the search goes on.
    InDoubt,
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
    pace: Pace,
    pairs: Vec<Pair>,
    nominated: Option<Nomination>,
    state: State,
    next_check: Instant,
    effects: VecDeque<Effect>,
    rng: StdRng,
}

#[derive(Debug)]
enum State {
    /// At the latest until then.
    Searching(Option<Instant>),
    /// Nothing more is asked of it.
    Found(SocketAddr),
    /// It is asked again and again.
    Keeping(Kept),
    GaveUp,
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

impl PathSearch {
    /// Searches among these addresses, the best first.
    pub(crate) fn new(
        checks: Checks,
        side: Side,
        candidates: impl IntoIterator<Item = SocketAddr>,
        pace: Pace,
        now: Instant,
        rng: StdRng,
    ) -> Self {
        let mut search = Self {
            checks,
            side,
            pace,
            pairs: Vec::new(),
            nominated: None,
            state: State::Searching(pace.patience.map(|patience| now + patience)),
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

    /// The peer is elsewhere: it is looked for at these addresses and where it was last.
    pub(crate) fn move_peer(&mut self, candidates: impl IntoIterator<Item = SocketAddr>, now: Instant) {
        let last = self.selected();
        self.pairs.clear();
        for addr in candidates.into_iter().chain(last) {
            self.add_candidate(addr, now);
        }
        self.search_again(self.pace, now);
    }

    /// How the next search goes.
    pub(crate) const fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
    }

    /// The same search once more.
    pub(crate) fn start_over(&mut self, now: Instant) {
        self.search_again(self.pace, now);
    }

    /// Forgets what was found, and searches among all addresses that are known.
    pub(crate) fn search_again(&mut self, pace: Pace, now: Instant) {
        for at in 0..self.pairs.len() {
            let transaction = self.transaction();
            if let Some(pair) = self.pairs.get_mut(at) {
                *pair = Pair {
                    transaction,
                    works: false,
                    wanted: false,
                    due: now,
                    repeat: limits::CHECK_REPEAT,
                    ..*pair
                };
            }
        }
        self.pace = pace;
        self.nominated = None;
        self.next_check = now;
        self.state = State::Searching(pace.patience.map(|patience| now + patience));
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
            State::Searching(_) | State::Found(_) => {}
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
            State::Found(_) => None,
        };
        let nomination = self.nominated.iter().map(|nomination| nomination.due);
        let checks = self.pairs.iter().filter(|pair| self.is_open(pair)).map(|pair| pair.due);
        let due = nomination.chain(checks).min().map(|due| due.max(self.next_check));
        own.into_iter().chain(due).min()
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
        if nominates && self.side == Side::Callee {
            for pair in &mut self.pairs {
                pair.wanted = pair.addr == from;
            }
        }
        let Some(pair) = self.pairs.iter_mut().find(|pair| pair.addr == from) else { return };
        if pair.works {
            return self.select_wanted(now);
        }
        pair.due = now;
        pair.repeat = limits::CHECK_REPEAT;
    }

    /// The peer answers what was asked of it at this address.
    fn answered(&mut self, from: SocketAddr, transaction: u128, now: Instant) {
        let (fresh, pause) = (self.transaction(), self.pause());
        if let State::Keeping(kept) = &mut self.state
            && (kept.addr, kept.transaction) == (from, transaction)
        {
            return kept.answered(fresh, pause, now);
        }
        let nomination = self.nominated.as_ref();
        if nomination.is_some_and(|chosen| chosen.addr == from && chosen.transaction == transaction) {
            return self.select(from, now);
        }
        let matches = |pair: &&mut Pair| pair.addr == from && pair.transaction == transaction;
        let Some(pair) = self.pairs.iter_mut().find(matches) else { return };
        pair.works = true;
        match self.side {
            Side::Callee => self.select_wanted(now),
            Side::Inviter => self.choose(from, now),
        }
    }

    /// The first path that works is the fastest.
    fn choose(&mut self, addr: SocketAddr, now: Instant) {
        if self.nominated.is_none() && matches!(self.state, State::Searching(_)) {
            let transaction = self.transaction();
            self.nominated = Some(Nomination { addr, transaction, due: now, repeat: limits::CHECK_REPEAT });
            self.next_check = now;
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
        self.state = if self.pace.keeps {
            State::Keeping(Kept::new(addr, transaction, pause, now))
        } else {
            State::Found(addr)
        };
        self.effects.push_back(Effect::Selected(addr));
    }

    const fn selected(&self) -> Option<SocketAddr> {
        match &self.state {
            State::Found(addr) => Some(*addr),
            State::Keeping(kept) => Some(kept.addr),
            State::Searching(_) | State::GaveUp => None,
        }
    }

    /// Whether an address is asked again: all in a search, later only where the peer wants to go.
    const fn is_open(&self, pair: &Pair) -> bool {
        !pair.works && (pair.wanted || matches!(self.state, State::Searching(_)))
    }

    fn nominate(&mut self, now: Instant) -> bool {
        let longest = self.pace.repeat_max;
        let Some(nomination) = self.nominated.as_mut().filter(|nomination| nomination.due <= now) else {
            return false;
        };
        nomination.due = now + nomination.repeat;
        nomination.repeat = (nomination.repeat * 2).min(longest);
        let (to, transaction) = (nomination.addr, nomination.transaction);
        self.send(to, transaction, true);
        true
    }

    fn check(&mut self, now: Instant) -> bool {
        // Whoever waits longest is next; of those that wait equally long, the best.
        let waiting = self.pairs.iter().enumerate().filter(|(_, pair)| self.is_open(pair) && pair.due <= now);
        let Some((at, _)) = waiting.min_by_key(|(_, pair)| pair.due) else { return false };
        let longest = self.pace.repeat_max;
        let Some(pair) = self.pairs.get_mut(at) else { return false };
        pair.due = now + pair.repeat;
        pair.repeat = (pair.repeat * 2).min(longest);
        let (to, transaction) = (pair.addr, pair.transaction);
        self.send(to, transaction, false);
        true
    }

    fn send(&mut self, to: SocketAddr, transaction: u128, nominates: bool) {
        let request = self.checks.request(transaction, nominates);
        self.effects.extend(request.map(|datagram| Effect::Send { to, datagram }));
    }

    /// 96 random bits.
    fn transaction(&mut self) -> u128 {
        self.rng.random::<u128>() >> 32
    }

    /// RFC 7675 §5.1: not all at once.
    fn pause(&mut self) -> Duration {
        self.rng.random_range(limits::CONSENT * 4 / 5..limits::CONSENT * 6 / 5)
    }
}

#[cfg(test)]
mod tests;
