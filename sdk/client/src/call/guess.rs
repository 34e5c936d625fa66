//! Guessing ports, where no address that was told leads through: many sockets against many guesses (the birthday bound).
//!
//! A NAT that has another port for each destination lets in only what comes from there, at a port that nobody knows.
//! So its side opens many sockets, each with a port of its own there, and the other side, whose address is the same
//! for everybody, guesses ports until it hits one. The guess opens the own NAT for exactly that port, comes in by the
//! socket that has it, and is answered there.
//!
//! Packets and time are bounded ([`limits::GUESSED_SOCKETS`], [`limits::GUESSED_PORTS`], [`limits::GUESS_PACE`]), and
//! end with the search.

mod fan;

use core::net::{IpAddr, SocketAddr};
use std::{sync::Arc, time::Instant};

use rand::seq::index::sample;
use switchhook_protocol::peer::Birthday;

pub(super) use self::fan::Fan;
use super::attempt::now;
use crate::{
    limits,
    network::{DatagramSocket, Network},
};

/// This side's part in it.
pub(super) struct Guess {
    part: Part,
    next: Instant,
}

enum Part {
    Sockets { fan: Arc<Fan>, network: Arc<dyn Network>, left: usize },
    Ports { of: IpAddr, ports: Vec<u16> },
}

/// What begins the ports that NATs give out (RFC 4787 §4.2.2: those below are for services).
const FIRST_PORT: u16 = 1_024;

/// The socket for a direct way, and this side's part, as the verdict says.
pub(super) fn prepare(
    birthday: Option<Birthday>,
    socket: Arc<dyn DatagramSocket>,
    network: &Arc<dyn Network>,
) -> (Arc<dyn DatagramSocket>, Option<Guess>) {
    match birthday {
        None => (socket, None),
        Some(Birthday::Ports { of }) => {
            let drawn =
                sample(&mut rand::rng(), usize::from(u16::MAX - FIRST_PORT) + 1, limits::GUESSED_PORTS);
            let port = |drawn| u16::try_from(drawn).ok()?.checked_add(FIRST_PORT);
            let part = Part::Ports { of, ports: drawn.into_iter().filter_map(port).collect() };
            (socket, Some(Guess { part, next: now() + limits::GUESS_PORTS_AFTER }))
        }
        Some(Birthday::Sockets { towards }) => {
            let fan = Arc::new(Fan::new(socket, towards));
            let (network, left) = (Arc::clone(network), limits::GUESSED_SOCKETS);
            let part = Part::Sockets { fan: Arc::clone(&fan), network, left };
            (fan, Some(Guess { part, next: now() + limits::GUESS_SOCKETS_AFTER }))
        }
    }
}

impl Guess {
    /// When to go on; none when the budget is spent.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let is_left = match &self.part {
            Part::Sockets { left, .. } => *left > 0,
            Part::Ports { ports, .. } => !ports.is_empty(),
        };
        is_left.then_some(self.next)
    }

    /// Sends the next burst of this request, if it is time.
    pub(super) fn handle_timeout(&mut self, request: &[u8], socket: &dyn DatagramSocket, now: Instant) {
        if self.poll_timeout().is_none_or(|next| next > now) {
            return;
        }
        self.next = now + limits::GUESS_PACE;
        for _ in 0..limits::GUESSES_AT_ONCE {
            match &mut self.part {
                Part::Ports { of, ports } => {
                    let Some(port) = ports.pop() else { return };
                    if let Err(error) = socket.send_to(request, SocketAddr::new(*of, port)) {
                        tracing::trace!(%error, "a guess is not sent");
                    }
                }
                Part::Sockets { left: 0, .. } => return,
                Part::Sockets { fan, network, left } => {
                    *left -= 1;
                    if let Err(error) = fan.open(&**network, request) {
                        tracing::debug!(%error, "the system gives no more sockets");
                        *left = 0;
                    }
                }
            }
        }
    }

    /// The peer was heard at what was received last: that socket is the one.
    pub(super) fn heard(&self) {
        if let Part::Sockets { fan, .. } = &self.part {
            fan.settle();
        }
    }

    /// The search is over: sockets that nobody was heard at are closed.
    pub(super) fn end(&self) {
        if let Part::Sockets { fan, .. } = &self.part {
            fan.close();
        }
    }
}
