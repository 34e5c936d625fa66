//! A path in use is asked again and again whether it still leads to the peer (RFC 7675).
//!
//! What is asked and answered also keeps both NATs' mappings alive. The inviter's questions repeat its choice, so that a
//! callee that has lost sight of it follows.

use core::{net::SocketAddr, time::Duration};
use std::time::Instant;

use crate::limits;

/// The address that was chosen, and since when it owes an answer.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) addr: SocketAddr,
    pub(super) transaction: u128,
    next: Instant,
    repeat: Duration,
    /// When the first question was sent that nothing has answered since.
    unanswered: Option<Instant>,
}

impl Kept {
    pub(super) fn new(addr: SocketAddr, transaction: u128, pause: Duration, now: Instant) -> Self {
        Self { addr, transaction, next: now + pause, repeat: limits::CHECK_REPEAT, unanswered: None }
    }

    /// Whether to ask now.
    pub(super) fn asks(&mut self, now: Instant) -> bool {
        if now < self.next {
            return false;
        }
        self.unanswered.get_or_insert(now);
        self.next = now + self.repeat;
        self.repeat = (self.repeat * 2).min(limits::CHECK_REPEAT_MAX);
        true
    }

    /// The peer is there; it is asked again after the pause.
    pub(super) fn answered(&mut self, transaction: u128, pause: Duration, now: Instant) {
        *self = Self::new(self.addr, transaction, pause, now);
    }

    /// It is asked at the latest then.
    pub(super) fn ask_by(&mut self, latest: Instant) {
        self.next = self.next.min(latest);
    }

    /// Whether the peer has owed an answer for too long.
    pub(super) fn is_in_doubt(&self, now: Instant) -> bool {
        self.doubt().is_some_and(|at| at <= now)
    }

    pub(super) fn poll_timeout(&self) -> Instant {
        self.doubt().map_or(self.next, |doubt| doubt.min(self.next))
    }

    fn doubt(&self) -> Option<Instant> {
        self.unanswered.map(|since| since + limits::DOUBT)
    }
}
