//! One try of one path: checks until it is found, the handshake over it, and both kept for the peer's
//! repeats afterwards.

use core::{net::SocketAddr, time::Duration};
use std::{sync::Arc, time::Instant};

use switchhook_protocol::call::PathKind;
use tokio::time::sleep_until;

use super::{
    inbox::Inbox,
    live::PathInUse,
    relaying::Leg,
    way::{News, Way},
};
use crate::{
    limits,
    network::{is_passing, recv_from},
    secure::{Established, Handshake, KeyError, Secrets, Side, is_data},
    sessions::SessionEvent,
};

/// See the module.
pub(super) struct Attempt {
    pub(super) way: Way,
    /// Sealed data that came with the end of the handshake.
    pub(super) early: Option<Vec<u8>>,
    /// Of a way through the relay.
    pub(super) leg: Option<Leg>,
    /// Where the other side is reached over this way, since the handshake.
    pub(super) peer: Option<SocketAddr>,
    handshake: Handshake,
    begun: bool,
    deadline: Instant,
}

/// What became of a try.
pub(super) enum Outcome {
    /// Both sides have the keys.
    Established,
    /// The other side has something to say that this try has no use for.
    Told(SessionEvent),
    /// Patience is over.
    NoPath,
}

impl Attempt {
    pub(super) fn new(way: Way, secrets: &Secrets, side: Side, patience: Duration) -> Result<Self, KeyError> {
        let handshake = Handshake::new(secrets.clone(), side)?;
        let deadline = now() + patience + limits::HANDSHAKE_REPEAT_MAX * 2;
        Ok(Self { way, early: None, leg: None, peer: None, handshake, begun: false, deadline })
    }

    /// Tries until there is an outcome. Events of the session come in while it does.
    pub(super) async fn run(&mut self, inbox: &mut Inbox) -> Outcome {
        let mut buffer = vec![0; 2_048];
        let socket = Arc::clone(&self.way.socket);
        let mut listening = true;
        loop {
            if self.perform() && !self.begun {
                return Outcome::NoPath;
            }
            if self.established().is_some() {
                return Outcome::Established;
            }
            let timeouts = [self.way.poll_timeout(), self.handshake.poll_timeout()];
            let next = timeouts.into_iter().flatten().min().map_or(self.deadline, |at| at.min(self.deadline));
            tokio::select! {
                biased;
                event = inbox.events.recv(), if listening => match event {
                    Some(event) => if let Some(told) = self.hear(event, inbox) { return Outcome::Told(told); },
                    None => listening = false,
                },
                received = recv_from(&*socket, &mut buffer) => match received {
                    Ok((length, from)) => self.handle_datagram(from, buffer.get(..length).unwrap_or_default()),
                    Err(error) if is_passing(&error) => {}
                    Err(error) => {
                        tracing::debug!(%error, "the socket fails");
                        return Outcome::NoPath;
                    }
                },
                () = sleep_until(next.into()) => {
                    if self.deadline <= now() {
                        return Outcome::NoPath;
                    }
                    self.way.handle_timeout();
                    self.handshake.handle_timeout(now());
                }
            }
        }
    }

    /// Takes in a datagram that is no sealed data of an established path.
    pub(super) fn handle_datagram(&mut self, from: SocketAddr, datagram: &[u8]) {
        if self.handshake.handle_datagram(from, datagram, now()) {
            self.begun = true;
            if is_data(datagram) && self.established().is_some() {
                // What completed the handshake may be the peer's first word.
                self.early = Some(datagram.to_vec());
            }
        } else {
            self.way.handle_datagram(from, datagram);
        }
    }

    /// Sends what the handshake has to send.
    pub(super) fn repeat(&mut self) {
        while let Some((to, datagram)) = self.handshake.poll_transmit() {
            self.way.send(to, &datagram);
        }
    }

    pub(super) fn path(&self) -> Option<PathInUse> {
        let established = self.established()?;
        Some(PathInUse { socket: Arc::clone(&self.way.socket), established, kind: self.way.kind })
    }

    /// Sends what is to be sent; true when the search has given up.
    fn perform(&mut self) -> bool {
        let mut gave_up = false;
        while let Some(news) = self.way.perform() {
            match news {
                News::Chosen(peer) => self.handshake.begin(peer, now()),
                News::Selected(peer) => {
                    self.begun = true;
                    self.handshake.begin(peer, now());
                }
                News::NeedRelay => gave_up = true,
                // The handshake has a deadline of its own; nobody asks CDX before there is a call.
                News::InDoubt | News::Gathered(_) => {}
            }
        }
        self.repeat();
        gave_up
    }

    fn established(&self) -> Option<Established> {
        self.handshake.established()
    }

    /// Keeps what others will want to know; what is left is for whoever tries.
    fn hear(&mut self, event: SessionEvent, inbox: &mut Inbox) -> Option<SessionEvent> {
        match (event, self.way.kind) {
            (SessionEvent::Relayed(relayed), kind) => {
                inbox.relayed = Some(relayed.relayed);
                if kind == PathKind::Relay {
                    self.way.search.add_candidate(relayed.relayed, now());
                }
                None
            }
            (SessionEvent::Elsewhere(elsewhere), PathKind::Direct) => {
                for candidate in &elsewhere.candidates {
                    self.way.search.add_candidate(candidate.address, now());
                }
                if let Some(exchange) = &elsewhere.exchange {
                    self.way.renew(exchange);
                }
                Some(SessionEvent::Elsewhere(elsewhere))
            }
            (SessionEvent::Elsewhere(elsewhere), PathKind::Relay) => {
                inbox.elsewhere = Some(elsewhere);
                None
            }
            (SessionEvent::Renewed(renewed), _) => {
                inbox.renewed = Some(renewed);
                None
            }
            // Asked for by both: this one is under way already.
            (SessionEvent::Given(_), PathKind::Relay) => None,
            (SessionEvent::Ended, _) => Some(SessionEvent::Ended),
            (event @ SessionEvent::Given(_), PathKind::Direct) => Some(event),
        }
    }
}

pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
