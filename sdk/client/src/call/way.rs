//! One way to the other side: a socket, the search for a path over it, and what is told through CDX.

use core::net::SocketAddr;
use std::{sync::Arc, time::Instant};

use rand::{SeedableRng as _, rngs::StdRng};
use switchhook_protocol::{call::PathKind, exchange::Exchange};

use super::{attempt::now, guess::Guess};
use crate::{
    exchange::Exchanging,
    gather::{Gathered, Gathering, Observer},
    network::DatagramSocket,
    path::{Effect, Pace, PathSearch},
    secure::{Secrets, Side},
    stun::Checks,
};

/// See the module.
pub(super) struct Way {
    pub(super) kind: PathKind,
    pub(super) socket: Arc<dyn DatagramSocket>,
    pub(super) search: PathSearch,
    /// While the search goes on, where the verdict says so.
    pub(super) guess: Option<Guess>,
    exchanging: Option<Exchanging>,
    gathering: Option<Gathering>,
}

/// What became known of a way.
#[derive(Debug)]
pub(super) enum News {
    /// This side has chosen this path, and waits for the other's word.
    Chosen(SocketAddr),
    /// The other side is reached here.
    Selected(SocketAddr),
    /// The path that was found does not answer.
    InDoubt,
    /// Patience is over.
    NeedRelay,
    /// CDX has said where this device is.
    Gathered(Gathered),
}

/// What a way rests on.
#[derive(Clone, Copy)]
pub(super) struct Basis<'a> {
    pub(super) secrets: &'a Secrets,
    pub(super) side: Side,
}

impl Way {
    pub(super) fn new(
        kind: PathKind,
        socket: Arc<dyn DatagramSocket>,
        basis: Basis<'_>,
        candidates: impl IntoIterator<Item = SocketAddr>,
        pace: Pace,
    ) -> Self {
        let Basis { secrets, side } = basis;
        let (mine, theirs) = side.names(&secrets.session);
        let checks = Checks::new(secrets.media_key.text(), mine, theirs);
        let rng = StdRng::from_rng(&mut rand::rng());
        let search = PathSearch::new(checks, side, candidates, pace, now(), rng);
        Self { kind, socket, search, guess: None, exchanging: None, gathering: None }
    }

    /// Tells the other side through CDX where this one may be reached; the last ticket counts.
    pub(super) fn tell(&mut self, exchange: &Exchange, basis: Basis<'_>, candidates: &[SocketAddr]) {
        if let Some(exchanging) = &mut self.exchanging {
            exchanging.renew(exchange);
            exchanging.tell(candidates, now());
        } else {
            self.exchanging = Exchanging::new(exchange, (basis.secrets, basis.side), candidates, now());
        }
    }

    /// From here on with this ticket; there is nothing new to tell.
    pub(super) fn renew(&mut self, exchange: &Exchange) {
        if let Some(exchanging) = &mut self.exchanging {
            exchanging.renew(exchange);
        }
    }

    /// Asks CDX where this device is, unless that is under way.
    pub(super) fn gather(&mut self, observer: &Observer) {
        let rng = StdRng::from_rng(&mut rand::rng());
        self.gathering.get_or_insert_with(|| Gathering::new(observer, now(), rng));
    }

    /// Another path carries: this one is looked for anew, with few datagrams.
    pub(super) fn look_beside(&mut self) {
        self.end_guessing();
        self.search.search_again(Pace::beside(), now());
    }

    fn end_guessing(&mut self) {
        if let Some(guess) = self.guess.take() {
            guess.end();
        }
    }

    /// Takes in a datagram that is neither of the handshake nor sealed data.
    pub(super) fn handle_datagram(&mut self, from: SocketAddr, datagram: &[u8]) {
        if let Some(gathering) = &mut self.gathering {
            gathering.handle_datagram(from, datagram, now());
        }
        let told = self.exchanging.as_mut().and_then(|it| it.handle_datagram(from, datagram));
        if let Some(candidates) = told {
            for addr in candidates {
                self.search.add_candidate(addr, now());
            }
        } else if self.search.handle_datagram(from, datagram, now()).is_err() {
            tracing::trace!(%from, "a datagram that is not of this session");
        } else if let Some(guess) = &self.guess {
            guess.heard();
        }
    }

    pub(super) fn handle_timeout(&mut self) {
        self.search.handle_timeout(now());
        if let Some(guess) = &mut self.guess
            && let Some(request) = self.search.guess()
        {
            guess.handle_timeout(&request, &*self.socket, now());
        }
        if let Some(exchanging) = &mut self.exchanging {
            exchanging.handle_timeout(now());
        }
        if let Some(gathering) = &mut self.gathering {
            gathering.handle_timeout(now());
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let told = self.exchanging.as_ref().and_then(Exchanging::poll_timeout);
        let asked = self.gathering.as_ref().and_then(Gathering::poll_timeout);
        let guess = self.guess.as_ref().and_then(Guess::poll_timeout);
        [self.search.poll_timeout(), told, asked, guess].into_iter().flatten().min()
    }

    /// Sends what is to be sent; what became known since.
    pub(super) fn perform(&mut self) -> Option<News> {
        while let Some((to, datagram)) = self.exchanging.as_mut().and_then(Exchanging::poll_transmit) {
            self.send(to, &datagram);
        }
        while let Some((to, datagram)) = self.gathering.as_mut().and_then(Gathering::poll_transmit) {
            self.send(to, &datagram);
        }
        if self.gathering.as_ref().is_some_and(|gathering| gathering.poll_timeout().is_none())
            && let Some(gathering) = self.gathering.take()
        {
            return Some(News::Gathered(gathering.gathered(self.socket.host_addresses())));
        }
        while let Some(effect) = self.search.poll_effect() {
            match effect {
                Effect::Send { to, datagram } => self.send(to, &datagram),
                Effect::Chosen(peer) => return Some(News::Chosen(peer)),
                Effect::Selected(peer) => {
                    self.end_guessing();
                    return Some(News::Selected(peer));
                }
                Effect::InDoubt => return Some(News::InDoubt),
                Effect::NeedRelay => return Some(News::NeedRelay),
            }
        }
        None
    }

    pub(super) fn send(&self, to: SocketAddr, datagram: &[u8]) {
        if let Err(error) = self.socket.send_to(datagram, to) {
            tracing::trace!(%error, %to, "a check is not sent");
        }
    }
}
