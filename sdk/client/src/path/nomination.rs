//! The inviter's choice, asked for until it is answered, or given up for another.

use core::{net::SocketAddr, time::Duration};
use std::time::Instant;

use crate::limits;

/// See the module.
#[derive(Debug)]
pub(super) struct Nomination {
    pub(super) addr: SocketAddr,
    pub(super) transaction: u128,
    due: Instant,
    repeat: Duration,
    /// A path that answered once and does not answer to this was none.
    until: Instant,
}

impl Nomination {
    pub(super) fn new(addr: SocketAddr, transaction: u128, now: Instant) -> Self {
        Self { addr, transaction, due: now, repeat: limits::CHECK_REPEAT, until: now + limits::DOUBT }
    }

    /// Whether to ask now.
    pub(super) fn asks(&mut self, longest: Duration, now: Instant) -> bool {
        if self.due > now {
            return false;
        }
        self.due = now + self.repeat;
        self.repeat = (self.repeat * 2).min(longest);
        true
    }

    pub(super) fn is_in_vain(&self, now: Instant) -> bool {
        self.until <= now
    }

    /// When it is to be asked for, or given up.
    pub(super) fn poll_timeout(&self, next_check: Instant) -> Instant {
        self.due.max(next_check).min(self.until)
    }
}
