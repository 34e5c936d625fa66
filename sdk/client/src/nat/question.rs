//! A question to CDX about the NAT: STUN Binding with the attributes of RFC 5780, asked again until it is answered, within a
//! bound.

use core::net::SocketAddr;
use std::time::Instant;

use rand::{RngExt as _, rngs::StdRng};
use stun_types::{
    attribute::{AttributeType, MappedSocketAddr, RawAttribute, XorMappedAddress},
    message::{MessageClass, MessageWrite as _, MessageWriteExt as _},
};

use crate::{
    limits,
    stun::{begin, binding},
};

const CHANGE_REQUEST: AttributeType = AttributeType::new(0x0003);
const RESPONSE_PORT: AttributeType = AttributeType::new(0x0027);
const OTHER_ADDRESS: AttributeType = AttributeType::new(0x802C);

/// How the answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// From where it was asked for, to where it was asked.
    Plainly,
    /// From the other port.
    FromOtherPort,
    /// From the other address, and its other port.
    FromOtherAddress,
    /// To this port of the own address.
    AtPort(u16),
}

/// A datagram for CDX, and which of the own sockets sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Transmit {
    pub(super) socket: usize,
    pub(super) to: SocketAddr,
    pub(super) datagram: Vec<u8>,
}

/// A datagram that has come in, and at which of the own sockets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrived<'a> {
    pub(super) socket: usize,
    pub(super) from: SocketAddr,
    pub(super) datagram: &'a [u8],
}

/// What CDX has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    /// At which of the own sockets it came in.
    pub(super) socket: usize,
    pub(super) from: SocketAddr,
    pub(super) said: Said,
}

/// What an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// Where CDX has seen the socket, and its own other address, if it has one.
    Seen { mapped: SocketAddr, other: Option<SocketAddr> },
    /// It does not do that.
    Refused,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Question {
    socket: usize,
    to: SocketAddr,
    wanted: Wanted,
    transaction: u128,
    requests: u32,
    next: Instant,
    answer: Option<Answer>,
    is_over: bool,
}

impl Question {
    /// Asked by this socket from now on.
    pub(super) fn new(socket: usize, to: SocketAddr, wanted: Wanted, now: Instant, rng: &mut StdRng) -> Self {
        let transaction = rng.random::<u128>() >> 32;
        Self { socket, to, wanted, transaction, requests: 0, next: now, answer: None, is_over: false }
    }

    /// What is to be sent now, if it is time.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<Transmit> {
        if self.is_over || self.next > now {
            return None;
        }
        if self.requests >= limits::CDX_REQUESTS {
            self.is_over = true;
            return None;
        }
        self.next = now + limits::CDX_RTO * (1 << self.requests);
        self.requests += 1;
        let datagram = write(self.transaction, self.wanted)?;
        Some(Transmit { socket: self.socket, to: self.to, datagram })
    }

    /// Takes in its answer; false if this is none.
    pub(super) fn handle_datagram(&mut self, arrived: Arrived<'_>) -> bool {
        let Some((transaction, said)) = read(arrived.datagram) else { return false };
        if transaction != self.transaction || self.is_over {
            return false;
        }
        self.answer = Some(Answer { socket: arrived.socket, from: arrived.from, said });
        self.is_over = true;
        true
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        (!self.is_over).then_some(self.next)
    }

    /// Whether it is answered, or was asked often enough.
    pub(super) const fn is_over(&self) -> bool {
        self.is_over
    }

    pub(super) const fn answer(&self) -> Option<Answer> {
        self.answer
    }

    /// Where CDX has seen the socket, by an answer to where it was asked from.
    pub(super) fn seen(&self) -> Option<SocketAddr> {
        match self.answer.filter(|answer| answer.socket == self.socket)?.said {
            Said::Seen { mapped, .. } => Some(mapped),
            Said::Refused => None,
        }
    }

    /// The other address of CDX, if it has told one.
    pub(super) fn other(&self) -> Option<SocketAddr> {
        match self.answer?.said {
            Said::Seen { other, .. } => other,
            Said::Refused => None,
        }
    }
}

fn write(transaction: u128, wanted: Wanted) -> Option<Vec<u8>> {
    let mut message = begin(MessageClass::Request, transaction);
    let change = match wanted {
        Wanted::Plainly => None,
        Wanted::FromOtherPort => Some(0b010_u32),
        Wanted::FromOtherAddress => Some(0b110),
        Wanted::AtPort(port) => {
            let [high, low] = port.to_be_bytes();
            message.add_attribute(&RawAttribute::new(RESPONSE_PORT, &[high, low, 0, 0])).ok()?;
            None
        }
    };
    if let Some(change) = change {
        message.add_attribute(&RawAttribute::new(CHANGE_REQUEST, &change.to_be_bytes())).ok()?;
    }
    Some(message.finish())
}

fn read(datagram: &[u8]) -> Option<(u128, Said)> {
    let message = binding(datagram)?;
    let transaction = message.transaction_id();
    let said = match message.class() {
        MessageClass::Success => {
            let mapped = message.attribute::<XorMappedAddress>().ok()?.addr(transaction);
            let other = message.raw_attribute(OTHER_ADDRESS);
            let other = other.and_then(|raw| MappedSocketAddr::from_raw(&raw).ok()).map(|other| other.addr());
            Said::Seen { mapped, other }
        }
        MessageClass::Error => Said::Refused,
        MessageClass::Request | MessageClass::Indication => return None,
    };
    Some((transaction.into(), said))
}
