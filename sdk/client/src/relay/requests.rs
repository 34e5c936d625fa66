//! Requests to a relay that wait for their answers.
//!
//! Each goes out again with doubling pauses until it is answered or given up (RFC 8489 §6.2.1); over a stream once, with
//! the same time to be answered.

use core::net::SocketAddr;
use std::{collections::VecDeque, time::Instant};

use rand::{RngExt as _, rngs::StdRng};

use crate::limits;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// An address.
    Allocate,
    /// To keep it.
    Refresh,
    /// To keep it for this client, which is elsewhere now (RFC 8016).
    Follow,
    /// To take it back.
    GiveBack,
    /// To let a peer in, and to carry its data by a channel.
    Bind(SocketAddr),
}

/// One that is under way.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) asked: Asked,
    /// How often it was asked anew with another nonce.
    pub(super) challenges: u32,
    transaction: u128,
    bytes: Vec<u8>,
    next: Instant,
    times: u32,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Requests {
    under_way: Vec<Request>,
    to_send: VecDeque<Vec<u8>>,
    repeats: bool,
    rng: StdRng,
}

impl Requests {
    /// Over datagrams, which are repeated, or over a stream.
    pub(super) const fn new(repeats: bool, rng: StdRng) -> Self {
        Self { under_way: Vec::new(), to_send: VecDeque::new(), repeats, rng }
    }

    /// For the next request.
    pub(super) fn transaction(&mut self) -> u128 {
        // 96 bits (RFC 8489 §5).
        self.rng.random::<u128>() >> 32
    }

    pub(super) fn begin(
        &mut self,
        (asked, challenges): (Asked, u32),
        transaction: u128,
        bytes: Vec<u8>,
        now: Instant,
    ) {
        self.to_send.push_back(bytes.clone());
        let pause =
            if self.repeats { limits::TURN_RTO } else { limits::TURN_RTO * (1 << limits::TURN_REQUESTS) };
        let next = now + pause;
        self.under_way.push(Request { asked, challenges, transaction, bytes, next, times: 1 });
    }

    /// What this is the answer to.
    pub(super) fn find(&self, transaction: u128) -> Option<Asked> {
        self.under_way.iter().find(|it| it.transaction == transaction).map(|it| it.asked)
    }

    /// The same; it is answered.
    pub(super) fn take(&mut self, transaction: u128) -> Option<Request> {
        let at = self.under_way.iter().position(|it| it.transaction == transaction)?;
        Some(self.under_way.swap_remove(at))
    }

    /// Nobody waits for the answer any more.
    pub(super) fn forget(&mut self, asked: Asked) {
        self.under_way.retain(|it| it.asked != asked);
    }

    /// Nothing that was asked is answered any more.
    pub(super) fn clear(&mut self) {
        self.under_way.clear();
        self.to_send.clear();
    }

    /// The same: what comes next goes another way, over datagrams, which are repeated, or over a stream.
    pub(super) fn start_over(&mut self, repeats: bool) {
        self.clear();
        self.repeats = repeats;
    }

    /// Sends this after what is to be sent already.
    pub(super) fn send(&mut self, message: Vec<u8>) {
        self.to_send.push_back(message);
    }

    /// Repeats what is due; one that is given up.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<Asked> {
        let repeats = self.repeats;
        for at in 0..self.under_way.len() {
            let Some(request) = self.under_way.get_mut(at).filter(|it| it.next <= now) else { continue };
            if !repeats || request.times >= limits::TURN_REQUESTS {
                return Some(self.under_way.swap_remove(at).asked);
            }
            request.next = now + limits::TURN_RTO * (1 << request.times);
            request.times += 1;
            self.to_send.push_back(request.bytes.clone());
        }
        None
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.under_way.iter().map(|it| it.next).min()
    }

    pub(super) fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.to_send.pop_front()
    }
}
