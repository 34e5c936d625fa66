//! What the answers of a relay lead to, and their absence.

use std::time::Instant;

use stun_types::{
    attribute::{AttributeStaticType as _, XorMappedAddress},
    message::Message,
};

use super::{
    super::{
        requests::{Asked, Request},
        wire::{self, code},
    },
    Event, Stage, Term, Turn, Why,
};
use crate::limits;

impl Turn {
    pub(super) fn handle_success(&mut self, answer: &Message<'_>, now: Instant) {
        let transaction = answer.transaction_id().into();
        let Some(asked) = self.requests.find(transaction) else { return };
        if !self.login.is_authentic(answer) {
            return;
        }
        self.requests.take(transaction);
        match asked {
            Asked::Allocate => self.allocated(answer, now),
            Asked::Refresh => self.refreshed(answer, now),
            Asked::Follow => self.followed(answer, now),
            Asked::GiveBack => self.end(Why::Ended),
            Asked::Bind(peer) => {
                self.peers.bound(peer, now);
                self.release();
            }
        }
    }

    fn allocated(&mut self, answer: &Message<'_>, now: Instant) {
        let relayed = wire::address(answer, wire::XOR_RELAYED_ADDRESS);
        let (Some(relayed), Some(term)) = (relayed, Term::of(answer, now)) else {
            return self.end(Why::NoAddress);
        };
        self.stage = Stage::Held(term);
        self.ticket = wire::value(answer, wire::MOBILITY_TICKET);
        let observed = wire::address(answer, XorMappedAddress::TYPE);
        self.events.push_back(Event::Allocated { relayed, observed });
    }

    fn refreshed(&mut self, answer: &Message<'_>, now: Instant) {
        if let Some(term) = Term::of(answer, now) {
            self.stage = Stage::Held(term);
            self.events.push_back(Event::Kept);
        }
    }

    fn followed(&mut self, answer: &Message<'_>, now: Instant) {
        let Some(term) = Term::of(answer, now) else { return self.end(Why::NoAddress) };
        self.stage = Stage::Held(term);
        // The one that was shown counts no more.
        self.ticket = wire::value(answer, wire::MOBILITY_TICKET);
        for peer in self.peers.unanswered(now) {
            self.ask((Asked::Bind(peer), 0), now);
        }
        self.release();
        self.events.push_back(Event::Kept);
    }

    fn release(&mut self) {
        for message in self.peers.released() {
            self.requests.send(message);
        }
    }

    pub(super) fn handle_refusal(&mut self, refusal: &Message<'_>, now: Instant) {
        let Some(code) = wire::error_code(refusal) else { return };
        let Some(request) = self.requests.take(refusal.transaction_id().into()) else { return };
        let Request { asked, challenges, .. } = request;
        let is_challenge = matches!(code, code::UNAUTHORIZED | code::STALE_NONCE);
        if is_challenge && challenges < limits::TURN_CHALLENGES && self.login.learn(refusal) {
            return self.ask((asked, challenges + 1), now);
        }
        tracing::debug!(?asked, code, "the relay refuses");
        match asked {
            Asked::Allocate if code == code::MOBILITY_FORBIDDEN && self.mobile => {
                self.mobile = false;
                self.ask((Asked::Allocate, challenges), now);
            }
            Asked::Allocate | Asked::Follow => self.end(Why::Refused(code)),
            Asked::Refresh | Asked::Bind(_) if code == code::ALLOCATION_MISMATCH => {
                // It knows of none, or sees this device elsewhere than before.
                self.requests.clear();
                if !self.show_ticket(now) {
                    self.end(Why::Refused(code));
                }
            }
            Asked::Refresh | Asked::Bind(_) | Asked::GiveBack => self.go_without(asked, now),
        }
    }

    pub(super) fn give_up(&mut self, asked: Asked, now: Instant) {
        match asked {
            Asked::Allocate | Asked::Follow => self.end(Why::Silence),
            Asked::Refresh | Asked::Bind(_) | Asked::GiveBack => self.go_without(asked, now),
        }
    }

    fn go_without(&mut self, asked: Asked, now: Instant) {
        match asked {
            Asked::Refresh => {
                if let Stage::Held(term) = &mut self.stage {
                    term.again = Some(now + limits::TURN_AGAIN);
                }
            }
            Asked::Bind(peer) => self.peers.not_bound(peer, now),
            Asked::GiveBack => self.end(Why::Ended),
            Asked::Allocate | Asked::Follow => {}
        }
    }
}

impl Term {
    /// As an answer says it.
    fn of(answer: &Message<'_>, now: Instant) -> Option<Self> {
        let life = wire::lifetime(answer)?;
        // A minute is enough for every repeat, if there is as much.
        let again = life.saturating_sub(limits::TURN_BEFORE_END.min(life / 2));
        Some(Self { until: now + life, again: Some(now + again) })
    }
}
