//! A client of TURN (RFC 8656, RFC 8016), as a machine: an address at a relay, and the peers that are reached through it.
//!
//! It is fed with whole messages, from datagrams or from a stream; time is an argument. After each call, take
//! what [`Turn::poll_transmit`] and [`Turn::poll_event`] give until there is no more, then wait for the next message or
//! for [`Turn::poll_timeout`].
//!
//! The relay keeps an address for who comes from where it was asked from. A client that comes from elsewhere, as it may
//! learn by a refusal, shows the ticket that it got with the address, and is given it there, with its permissions and
//! channels; what is to be sent meanwhile waits. Without a ticket, or when the relay has started again, the address is lost.
//!
//! An answer counts if it is signed. A refusal counts unsigned, too, since many relays sign none: who can forge one can
//! also withhold the answer.

mod answers;
mod asking;

use core::{net::SocketAddr, ops::Range};
use std::{collections::VecDeque, time::Instant};

use rand::rngs::StdRng;
use stun_types::message::{Message, MessageClass};
use switchhook_protocol::relay::AddressFamily;

use super::{
    login::Login,
    peers::{Peers, Sending},
    requests::{Asked, Requests},
    wire,
};

/// See the module.
pub(super) struct Turn {
    login: Login,
    family: Option<AddressFamily>,
    /// It wants a ticket.
    mobile: bool,
    ticket: Option<Vec<u8>>,
    stage: Stage,
    requests: Requests,
    peers: Peers,
    events: VecDeque<Event>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// There is no address yet.
    Asking,
    /// There is one.
    Held(Term),
    /// There is one, for who shows the ticket.
    Following,
    /// There is none any more.
    Over,
}

/// How long an address is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Term {
    until: Instant,
    /// When to ask for more, if that is not under way.
    again: Option<Instant>,
}

/// What became known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// There is an address; and where the relay sees this device, if it says so.
    Allocated { relayed: SocketAddr, observed: Option<SocketAddr> },
    /// The relay keeps the address for this device, where it is now.
    Kept,
    /// There is no address any more, or none was given.
    Over(Why),
}

/// Why there is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// The relay has refused, with this error code.
    Refused(u16),
    /// The relay has answered, and named no address, or no time.
    NoAddress,
    /// The relay does not answer, or nothing leads to it.
    Silence,
    /// Its time is over, or it was given back.
    Ended,
}

impl Turn {
    /// Asks for an address: of this family, or of IPv4 as TURN has it. Over datagrams `repeats`.
    pub(super) fn allocate(
        login: Login,
        family: Option<AddressFamily>,
        repeats: bool,
        (rng, now): (StdRng, Instant),
    ) -> Self {
        let mut turn = Self {
            login,
            family,
            mobile: true,
            ticket: None,
            stage: Stage::Asking,
            requests: Requests::new(repeats, rng),
            peers: Peers::new(),
            events: VecDeque::new(),
        };
        turn.ask((Asked::Allocate, 0), now);
        turn
    }

    /// Asks whether the relay keeps the address for this device, where it is now.
    pub(super) fn refresh(&mut self, now: Instant) {
        if let Stage::Held(term) = &mut self.stage {
            term.again = None;
            self.requests.forget(Asked::Refresh);
            self.ask((Asked::Refresh, 0), now);
        }
    }

    /// What is sent from now on goes another way, over datagrams that `repeats`, or over a stream. False if the address
    /// cannot be kept.
    pub(super) fn follow(&mut self, repeats: bool, now: Instant) -> bool {
        self.requests.start_over(repeats);
        self.show_ticket(now)
    }

    fn show_ticket(&mut self, now: Instant) -> bool {
        let has_address = matches!(self.stage, Stage::Held(_) | Stage::Following);
        if self.ticket.is_none() || !has_address {
            return false;
        }
        self.stage = Stage::Following;
        self.ask((Asked::Follow, 0), now);
        true
    }

    /// Gives the address back, and lets nothing more be sent.
    pub(super) fn give_back(&mut self, now: Instant) {
        if matches!(self.stage, Stage::Held(_)) {
            self.ask((Asked::GiveBack, 0), now);
        } else {
            self.end(Why::Ended);
        }
    }

    /// There is no way to the relay any more, or nobody to use it.
    pub(super) fn end(&mut self, why: Why) {
        if self.stage != Stage::Over {
            self.stage = Stage::Over;
            self.requests.clear();
            self.peers = Peers::new();
            self.events.push_back(Event::Over(why));
        }
    }

    /// Whether there is no answer yet.
    pub(super) fn is_asking(&self) -> bool {
        self.stage == Stage::Asking
    }

    pub(super) fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// Whether datagrams wait for their peers' channels.
    pub(super) const fn has_waiting(&self) -> bool {
        self.peers.has_waiting()
    }

    /// Writes what carries a datagram to a peer, if that may leave at once.
    pub(super) fn send(&mut self, data: &[u8], to: SocketAddr, out: &mut Vec<u8>, now: Instant) -> Sending {
        let follows = match self.stage {
            Stage::Held(_) => false,
            Stage::Following => true,
            Stage::Asking | Stage::Over => return Sending::Lost,
        };
        let sending = self.peers.send(data, to, (out, now), follows);
        if sending == Sending::First && !follows {
            self.ask((Asked::Bind(to), 0), now);
        }
        sending
    }

    /// Takes in a message; of data, whose it is and where it stands in there.
    pub(super) fn handle_message(
        &mut self,
        message: &[u8],
        now: Instant,
    ) -> Option<(SocketAddr, Range<usize>)> {
        if self.is_over() {
            return None;
        }
        if let Some((channel, data)) = wire::channel_data(message) {
            return Some((self.peers.heard(channel)?, data));
        }
        let message = Message::from_bytes(message).ok()?;
        match message.class() {
            MessageClass::Indication => return wire::indicated(&message),
            MessageClass::Success => self.handle_success(&message, now),
            MessageClass::Error => self.handle_refusal(&message, now),
            // A relay asks nothing.
            MessageClass::Request => {}
        }
        None
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        while let Some(asked) = self.requests.handle_timeout(now) {
            self.give_up(asked, now);
        }
        let Stage::Held(term) = &mut self.stage else { return };
        if term.until <= now {
            return self.end(Why::Ended);
        }
        if term.again.is_some_and(|again| again <= now) {
            self.refresh(now);
        }
        while let Some(peer) = self.peers.due(now) {
            self.ask((Asked::Bind(peer), 0), now);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let of_term = match self.stage {
            Stage::Held(Term { until, again }) => {
                [Some(until), again, self.peers.poll_timeout()].into_iter().flatten().min()
            }
            Stage::Asking | Stage::Following | Stage::Over => None,
        };
        [of_term, self.requests.poll_timeout()].into_iter().flatten().min()
    }

    pub(super) fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.requests.poll_transmit()
    }

    pub(super) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}

/// Whether somebody who has not the password gives an address, keeps one, or leads data astray by this message.
///
/// # Panics
///
/// When data stands outside of the message.
#[cfg(feature = "fuzzing")]
pub(crate) fn is_trusted_with(message: &[u8], (rng, now): (StdRng, Instant)) -> bool {
    let login = Login::new("user".to_owned(), "password".to_owned());
    let mut turn = Turn::allocate(login, None, true, (rng, now));
    if let Some((_, data)) = turn.handle_message(message, now) {
        assert!(message.get(data).is_some(), "it is in there");
    }
    turn.poll_event().is_some_and(|event| !matches!(event, Event::Over(_)))
}

#[cfg(test)]
mod tests;
