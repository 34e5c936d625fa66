//! A search for a path to one peer, by authenticated connectivity checks (NAT-4), and its keeping (NAT-5).
//!
//! Both sides send STUN Binding requests to every address that the other may have, one at a time and
//! again and again: each opens its own NAT for the other. Who receives an authentic request answers
//! it **to where it came from**, and tries that address too, whether it was announced or not: behind
//! a symmetric NAT the announced one is wrong, and the observed one is right (RFC 8445 §7.3.1.3,
//! peer-reflexive candidates). An answer from the address that was asked proves that the path works
//! both ways. The inviter then says which path it takes, by a request that nominates it, and the path
//! is found for each side when that request is answered. Who shakes hands need not wait for that answer: what comes by the
//! path that was chosen saves a round trip, and by another one it comes again.
//!
//! A choice that is not answered is given up for another: what answered once may have been a hole that closed.
//!
//! **A path that was found is asked again and again** ([`kept`]). Without answers it is in doubt: the search
//! begins anew, with every address that is known, while the old path stays in use. Who has got another address,
//! knowingly or not, is found by its own checks; the callee follows the inviter's choice at any time.
//!
//! **Guesses** are requests to addresses that nobody has named, all under one number ([`PathSearch::guess`]). An answer
//! says only that the peer may be there: it becomes an address like any other, and is asked by itself.
//!
//! What is not authentic is not answered: a stranger learns nothing and cannot have us send.
//!
//! Drive it like every machine here: after each `handle_*`, take effects until there are none, then
//! wait for the next input or for [`PathSearch::poll_timeout`], whichever comes first.

mod asking;
mod hearing;
mod kept;
mod nomination;
mod pace;
mod pairs;

use core::{net::SocketAddr, time::Duration};
use std::{collections::VecDeque, time::Instant};

use rand::{RngExt as _, rngs::StdRng};

pub(crate) use self::pace::Pace;
use self::{
    kept::Kept,
    nomination::Nomination,
    pairs::{Pair, Pairs},
};
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
    /// The inviter means to take this path, and says so to the peer; meanwhile the handshake may begin there.
    Chosen(SocketAddr),
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
    pairs: Pairs,
    nominated: Option<Nomination>,
    /// The number of all guesses.
    guess: u128,
    state: State,
    /// How often, on the average, the path that was found is asked.
    ask_every: Duration,
    /// When the peer has answered over the path that was found.
    last_answer: Option<Instant>,
    next_check: Instant,
    effects: VecDeque<Effect>,
    rng: StdRng,
}

#[derive(Debug)]
enum State {
    /// At the latest until then.
    Searching(Option<Instant>),
    /// It is asked again and again.
    Keeping(Kept),
    GaveUp,
}

impl PathSearch {
    /// Searches among these addresses, the best first.
    pub(crate) fn new(
        checks: Checks,
        side: Side,
        candidates: impl IntoIterator<Item = SocketAddr>,
        pace: Pace,
        now: Instant,
        mut rng: StdRng,
    ) -> Self {
        let mut search = Self {
            checks,
            side,
            pace,
            pairs: Pairs::default(),
            nominated: None,
            guess: rng.random::<u128>() >> 32,
            state: State::Searching(pace.patience.map(|patience| now + patience)),
            ask_every: limits::CONSENT,
            last_answer: None,
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
        let transaction = self.transaction();
        self.pairs.add(Pair::new(addr, transaction, now), false);
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

    /// How often, on the average, the path that was found is asked from here on.
    pub(crate) fn ask_every(&mut self, pause: Duration, now: Instant) {
        let is_sooner = pause < self.ask_every;
        self.ask_every = pause;
        let latest = now + self.pause();
        if let State::Keeping(kept) = &mut self.state
            && is_sooner
        {
            kept.ask_by(latest);
        }
    }

    /// When the peer has last answered over the path that was found: nobody else can.
    pub(crate) const fn last_answer(&self) -> Option<Instant> {
        self.last_answer
    }

    /// The same search once more.
    pub(crate) fn start_over(&mut self, now: Instant) {
        self.search_again(self.pace, now);
    }

    /// Forgets what was found, and searches among all addresses that are known.
    pub(crate) fn search_again(&mut self, pace: Pace, now: Instant) {
        for pair in self.pairs.iter_mut() {
            *pair = Pair::new(pair.addr, self.rng.random::<u128>() >> 32, now);
        }
        self.pace = pace;
        self.nominated = None;
        self.next_check = now;
        self.state = State::Searching(pace.patience.map(|patience| now + patience));
    }

    /// Whether no path is found yet, and one may be.
    pub(crate) const fn is_searching(&self) -> bool {
        matches!(self.state, State::Searching(_))
    }

    /// A request to an address that nobody has named.
    pub(crate) fn guess(&self) -> Option<Vec<u8>> {
        self.checks.request(self.guess, false)
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
            Check::Success { transaction } if transaction == self.guess => self.heard(from, now),
            Check::Success { transaction } => self.answered(from, transaction, now),
        }
        Ok(())
    }

    pub(crate) fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    const fn selected(&self) -> Option<SocketAddr> {
        match &self.state {
            State::Keeping(kept) => Some(kept.addr),
            State::Searching(_) | State::GaveUp => None,
        }
    }

    /// 96 random bits.
    fn transaction(&mut self) -> u128 {
        self.rng.random::<u128>() >> 32
    }
}

#[cfg(test)]
mod tests;
