//! How long a NAT keeps a mapping that nothing is sent over (RFC 5780 §4.6), and how often a path must be asked by that.
//!
//! Sockets open a mapping each, and wait, [each longer than the one before](limits::LIFE_STEPS). Then another socket has CDX
//! answer to the port at which it saw the one that waited. What comes in there has found the mapping. What does not come
//! has found none, provided that CDX answers at all, and sees both sockets at one address. All wait at the same time, so
//! that the search takes no longer than its longest step.

use core::{net::SocketAddr, time::Duration};
use std::{collections::VecDeque, time::Instant};

use rand::rngs::StdRng;

use super::{
    question::{Arrived, Question, Transmit, Wanted},
    sockets::Asking,
};
use crate::limits;

/// How long a mapping that nothing is sent over is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MappingLife {
    /// So long one was kept; zero if none was.
    pub at_least: Duration,
    /// So long none was kept; none if all were.
    pub less_than: Option<Duration>,
}

impl MappingLife {
    /// How often, on the average, a path is asked that carries nothing else: two thirds of the life leave room for the fifth
    /// by which pauses vary, and for a question that is lost.
    pub(super) fn pause(self) -> Duration {
        (self.at_least * 2 / 3).clamp(limits::CONSENT, limits::KEEP_ALIVE_MAX)
    }
}

/// How many sockets the search needs.
pub(super) const SOCKETS: usize = 1 + limits::LIFE_STEPS.len();

/// The one that asks for those that wait, which come after it.
const ASKER: usize = 0;

/// See the module.
pub(super) struct Search {
    cdx: SocketAddr,
    steps: Vec<Step>,
    outcome: Option<Outcome>,
    transmits: VecDeque<Transmit>,
    rng: StdRng,
}

/// A socket that waits so long.
#[derive(Debug)]
struct Step {
    socket: usize,
    pause: Duration,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Its mapping is made.
    Opening(Box<Question>),
    /// Nothing is sent.
    Waiting { seen: SocketAddr, until: Instant },
    /// CDX is asked to answer there, and to the asker.
    Asking { seen: SocketAddr, there: Box<Question>, here: Box<Question> },
    /// The mapping was kept.
    Kept,
}

/// How the search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Found(MappingLife),
    /// CDX does not answer, or not so, or not for one address.
    NotTold,
}

impl Search {
    /// By this port of CDX.
    pub(super) fn new(cdx: SocketAddr, now: Instant, mut rng: StdRng) -> Self {
        let step = |(at, pause): (usize, &Duration)| {
            let socket = at + 1;
            let opening = Question::new(socket, cdx, Wanted::Plainly, now, &mut rng);
            Step { socket, pause: *pause, state: State::Opening(Box::new(opening)) }
        };
        let steps = limits::LIFE_STEPS.iter().enumerate().map(step).collect();
        Self { cdx, steps, outcome: None, transmits: VecDeque::new(), rng }
    }

    /// What was found; nothing before the end, and where it could not be told.
    pub(super) const fn found(&self) -> Option<MappingLife> {
        match self.outcome {
            Some(Outcome::Found(life)) => Some(life),
            Some(Outcome::NotTold) | None => None,
        }
    }

    /// Ends where enough is known: at the first step that found no mapping.
    fn settle(&mut self) {
        let mut at_least = Duration::ZERO;
        for step in &self.steps {
            match step.verdict() {
                Some(Verdict::Kept) => at_least = step.pause,
                Some(Verdict::Lost) => {
                    let less_than = Some(step.pause);
                    self.outcome = Some(Outcome::Found(MappingLife { at_least, less_than }));
                    return;
                }
                Some(Verdict::NotTold) => {
                    self.outcome = Some(Outcome::NotTold);
                    return;
                }
                // A longer one may know more, if its opening was answered sooner: it waits for this one.
                None => return,
            }
        }
        self.outcome = Some(Outcome::Found(MappingLife { at_least, less_than: None }));
    }
}

/// What a step has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Kept,
    Lost,
    NotTold,
}

impl Step {
    fn handle_datagram(&mut self, arrived: Arrived<'_>, now: Instant) {
        match &mut self.state {
            State::Opening(question) => {
                question.handle_datagram(arrived);
                if let Some(seen) = question.seen() {
                    self.state = State::Waiting { seen, until: now + self.pause };
                }
            }
            State::Asking { there, here, .. } => {
                here.handle_datagram(arrived);
                there.handle_datagram(arrived);
                if there.answer().is_some_and(|answer| answer.socket == self.socket) {
                    self.state = State::Kept;
                }
            }
            State::Waiting { .. } | State::Kept => {}
        }
    }

    fn handle_timeout(&mut self, cdx: SocketAddr, now: Instant, rng: &mut StdRng) -> [Option<Transmit>; 2] {
        if let State::Waiting { seen, until } = self.state
            && until <= now
        {
            let mut ask = |wanted| Box::new(Question::new(ASKER, cdx, wanted, now, rng));
            let (there, here) = (ask(Wanted::AtPort(seen.port())), ask(Wanted::Plainly));
            self.state = State::Asking { seen, there, here };
        }
        match &mut self.state {
            State::Opening(question) => [question.handle_timeout(now), None],
            State::Asking { there, here, .. } => [there.handle_timeout(now), here.handle_timeout(now)],
            State::Waiting { .. } | State::Kept => [None, None],
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Opening(question) => question.poll_timeout(),
            State::Waiting { until, .. } => Some(*until),
            State::Asking { there, here, .. } => {
                [there, here].into_iter().filter_map(|question| question.poll_timeout()).min()
            }
            State::Kept => None,
        }
    }

    fn verdict(&self) -> Option<Verdict> {
        match &self.state {
            State::Opening(question) => question.is_over().then_some(Verdict::NotTold),
            State::Waiting { .. } => None,
            State::Asking { seen, there, here } => {
                if !there.is_over() || !here.is_over() {
                    return None;
                }
                // An answer to the asker says that CDX does not answer elsewhere.
                let is_told =
                    there.answer().is_none() && here.seen().map(|addr| addr.ip()) == Some(seen.ip());
                Some(if is_told { Verdict::Lost } else { Verdict::NotTold })
            }
            State::Kept => Some(Verdict::Kept),
        }
    }
}

impl Asking for Search {
    fn handle_datagram(&mut self, arrived: Arrived<'_>, now: Instant) {
        for step in &mut self.steps {
            step.handle_datagram(arrived, now);
        }
        self.settle();
    }

    fn handle_timeout(&mut self, now: Instant) {
        for step in &mut self.steps {
            let transmits = step.handle_timeout(self.cdx, now, &mut self.rng);
            self.transmits.extend(transmits.into_iter().flatten());
        }
        self.settle();
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        if self.outcome.is_some() {
            return None;
        }
        self.steps.iter().filter_map(Step::poll_timeout).min()
    }
}
