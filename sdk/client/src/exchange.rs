//! Telling the other side through CDX where this one may be reached (NAT-2).
//!
//! The host's verdict names addresses as they were before the invite and before the accept. What a side has
//! learned since goes this way, in one datagram and half a round trip, without a connection to the host.
//!
//! Each side tells it again, after pauses that double, until it has heard that it was heard. What is heard is
//! answered if its sender asks for that, so that two sides that have heard each other fall silent. What comes
//! from elsewhere than CDX, or is not sealed under the session's key, was not said.
//!
//! A machine: after each `handle_*`, take transmits until there are none, then wait for
//! [`Exchanging::poll_timeout`].

use core::net::SocketAddr;
use std::{collections::VecDeque, time::Instant};

use data_encoding::BASE64URL_NOPAD;
use switchhook_protocol::exchange::{Exchange, FromCdx, ToCdx};

use self::payload::{Payload, Seal};
use crate::{
    limits,
    secure::{Secrets, Side},
};

mod payload;

/// See the module.
pub(crate) struct Exchanging {
    seal: Seal,
    cdx: SocketAddr,
    ticket: Vec<u8>,
    candidates: Vec<SocketAddr>,
    /// Of what this side tells.
    number: u32,
    /// Of what the other side told last.
    heard: u32,
    /// The other side has heard the present number.
    acknowledged: bool,
    repeats: u32,
    next: Option<Instant>,
    transmits: VecDeque<Vec<u8>>,
}

impl Exchanging {
    /// None if the ticket is malformed.
    pub(crate) fn new(
        exchange: &Exchange,
        (secrets, side): (&Secrets, Side),
        candidates: &[SocketAddr],
        now: Instant,
    ) -> Option<Self> {
        let mut exchanging = Self {
            seal: Seal::new(secrets, side),
            cdx: exchange.cdx,
            ticket: BASE64URL_NOPAD.decode(exchange.ticket.as_bytes()).ok()?,
            candidates: Vec::new(),
            number: 0,
            heard: 0,
            acknowledged: false,
            repeats: 0,
            next: None,
            transmits: VecDeque::new(),
        };
        exchanging.tell(candidates, now);
        Some(exchanging)
    }

    /// Tells something new: the best candidates first.
    pub(crate) fn tell(&mut self, candidates: &[SocketAddr], now: Instant) {
        self.candidates = candidates.iter().copied().take(limits::EXCHANGE_CANDIDATES).collect();
        self.number = self.number.saturating_add(1);
        (self.acknowledged, self.repeats, self.next) = (false, 0, Some(now));
        self.handle_timeout(now);
    }

    /// From here on with this ticket.
    pub(crate) fn renew(&mut self, exchange: &Exchange) {
        if let Ok(ticket) = BASE64URL_NOPAD.decode(exchange.ticket.as_bytes()) {
            (self.cdx, self.ticket) = (exchange.cdx, ticket);
        }
    }

    /// Takes in a datagram, if it was handed on by CDX and is authentic: new addresses of the other side.
    pub(crate) fn handle_datagram(&mut self, from: SocketAddr, datagram: &[u8]) -> Option<Vec<SocketAddr>> {
        let handed = FromCdx::read(datagram).filter(|_| from == self.cdx)?;
        let told = self.seal.open(handed.payload)?;
        let new = told.number > self.heard;
        self.heard = self.heard.max(told.number);
        if told.heard >= self.number {
            (self.acknowledged, self.next) = (true, None);
        }
        if told.asks {
            self.transmit();
        }
        let candidates = if new { told.candidates } else { Vec::new() };
        Some(candidates.into_iter().take(limits::EXCHANGE_CANDIDATES).collect())
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.next.is_none_or(|next| next > now) {
            return;
        }
        self.next = (self.repeats < limits::EXCHANGE_REPEATS)
            .then(|| now + limits::EXCHANGE_REPEAT * 2_u32.saturating_pow(self.repeats));
        if self.next.is_some() {
            self.repeats += 1;
            self.transmit();
        }
    }

    pub(crate) const fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }

    /// What is to be sent, and to which address of CDX.
    pub(crate) fn poll_transmit(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        self.transmits.pop_front().map(|datagram| (self.cdx, datagram))
    }

    fn transmit(&mut self) {
        let (number, heard, candidates) = (self.number, self.heard, self.candidates.clone());
        let payload = Payload { number, heard, asks: !self.acknowledged, candidates };
        let sealed = self.seal.seal(&payload);
        let datagram = sealed.and_then(|payload| ToCdx { ticket: &self.ticket, payload: &payload }.write());
        self.transmits.extend(datagram);
    }
}

#[cfg(test)]
mod tests;
