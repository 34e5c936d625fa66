//! How a NAT maps and filters (RFC 5780 §4.3 and §4.4).
//!
//! Two sockets ask. The first one asks both ports of CDX, and its other address if it has one, where they see it: what
//! differs, the mapping depends on. The second one asks one port alone, and then wants its answer from elsewhere: what does
//! not come, the NAT does not let in, provided that CDX does answer from there, which the first one has found out.

use core::{iter::once, net::SocketAddr};
use std::{collections::VecDeque, time::Instant};

use rand::rngs::StdRng;

use super::{
    Filtering, Mapping, Nat,
    question::{Arrived, Question, Said, Transmit, Wanted},
    sockets::Asking,
};

/// How many sockets ask.
pub(super) const SOCKETS: usize = 2;

/// The socket that asks everywhere.
pub(super) const EVERYWHERE: usize = 0;

/// The socket that asks at one place.
const AT_ONE_PLACE: usize = 1;

/// See the module.
pub(super) struct Behaviour {
    primary: Question,
    secondary: Question,
    /// At the other address, and the first port.
    other_address: Option<Question>,
    /// Opens the second socket's mapping.
    opening: Question,
    from_other_port: Option<Question>,
    from_other_address: Option<Question>,
    /// The first port of CDX.
    cdx: SocketAddr,
    transmits: VecDeque<Transmit>,
    rng: StdRng,
}

impl Behaviour {
    /// By these two ports of one address of CDX.
    pub(super) fn new([cdx, other_port]: [SocketAddr; 2], now: Instant, mut rng: StdRng) -> Self {
        let mut ask = |socket, to| Question::new(socket, to, Wanted::Plainly, now, &mut rng);
        Self {
            primary: ask(EVERYWHERE, cdx),
            secondary: ask(EVERYWHERE, other_port),
            other_address: None,
            opening: ask(AT_ONE_PLACE, cdx),
            from_other_port: None,
            from_other_address: None,
            cdx,
            transmits: VecDeque::new(),
            rng,
        }
    }

    /// What was found, by a first socket that has these addresses of its own.
    pub(super) fn found(&self, own: &[SocketAddr]) -> Nat {
        let seen = self.primary.seen().or_else(|| self.secondary.seen()).or_else(|| self.opening.seen());
        let Some(seen) = seen else { return Nat::CLOSED };
        Nat { external: Some(seen.ip()), mapping: self.mapping(own), filtering: self.filtering() }
    }

    fn mapping(&self, own: &[SocketAddr]) -> Mapping {
        let (Some(first), Some(second)) = (self.primary.seen(), self.secondary.seen()) else {
            return Mapping::Unknown;
        };
        let third = self.other_address.as_ref().and_then(Question::seen);
        match third {
            _ if first != second => Mapping::AddressAndPortDependent,
            Some(third) if third != first => Mapping::AddressDependent,
            Some(_) | None if own.contains(&first) => Mapping::None,
            Some(_) => Mapping::EndpointIndependent,
            None => Mapping::PortIndependent,
        }
    }

    fn filtering(&self) -> Filtering {
        let from_port = self.lets_in(self.from_other_port.as_ref(), Some(&self.secondary));
        let from_address = self.lets_in(self.from_other_address.as_ref(), self.other_address.as_ref());
        match (from_address, from_port) {
            (Some(true), _) => Filtering::EndpointIndependent,
            (Some(false), Some(true)) => Filtering::AddressDependent,
            (None, Some(true)) => Filtering::PortIndependent,
            (_, Some(false)) => Filtering::AddressAndPortDependent,
            (_, None) => Filtering::Unknown,
        }
    }

    /// Whether an answer came from elsewhere; none if CDX answers from nowhere else, or nothing was heard from there.
    fn lets_in(&self, question: Option<&Question>, there: Option<&Question>) -> Option<bool> {
        let question = question?;
        match question.answer() {
            Some(answer) => (answer.from != self.cdx && answer.said != Said::Refused).then_some(true),
            None => there.and_then(Question::seen).map(|_| false),
        }
    }

    /// What follows from an answer.
    fn go_on(&mut self, now: Instant) {
        let cdx = self.cdx;
        let mut ask = |socket, to, wanted| Question::new(socket, to, wanted, now, &mut self.rng);
        let other = self.primary.other().filter(|other| other.is_ipv4() == cdx.is_ipv4());
        if let Some(other) = other {
            let there = SocketAddr::new(other.ip(), cdx.port());
            self.other_address.get_or_insert_with(|| ask(EVERYWHERE, there, Wanted::Plainly));
        }
        if self.opening.seen().is_none() {
            return;
        }
        self.from_other_port.get_or_insert_with(|| ask(AT_ONE_PLACE, cdx, Wanted::FromOtherPort));
        if self.opening.other().is_some() {
            self.from_other_address.get_or_insert_with(|| ask(AT_ONE_PLACE, cdx, Wanted::FromOtherAddress));
        }
    }

    fn questions(&self) -> impl Iterator<Item = &Question> {
        let later = [&self.other_address, &self.from_other_port, &self.from_other_address];
        once(&self.primary).chain([&self.secondary, &self.opening]).chain(later.into_iter().flatten())
    }

    fn questions_mut(&mut self) -> impl Iterator<Item = &mut Question> {
        let later = [&mut self.other_address, &mut self.from_other_port, &mut self.from_other_address];
        once(&mut self.primary)
            .chain([&mut self.secondary, &mut self.opening])
            .chain(later.into_iter().flatten())
    }
}

impl Asking for Behaviour {
    fn handle_datagram(&mut self, arrived: Arrived<'_>, now: Instant) {
        if self.questions_mut().any(|question| question.handle_datagram(arrived)) {
            self.go_on(now);
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        let transmits: Vec<_> = self.questions_mut().filter_map(|it| it.handle_timeout(now)).collect();
        self.transmits.extend(transmits);
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.questions().filter_map(Question::poll_timeout).min()
    }
}
