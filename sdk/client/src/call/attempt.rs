//! One try of one path: checks until it is found, the handshake over it, and both kept for the peer's
//! repeats afterwards.

use core::{net::SocketAddr, time::Duration};
use std::{sync::Arc, time::Instant};

use rand::{SeedableRng as _, rngs::StdRng};
use switchhook_protocol::call::PathKind;
use tokio::{sync::mpsc::Receiver, time::sleep_until};

use super::PathInUse;
use crate::{
    limits,
    network::{DatagramSocket, recv_from},
    path::{Effect, PathSearch},
    secure::{Established, Handshake, KeyError, Secrets, Side, is_data},
    sessions::SessionEvent,
    stun::Checks,
};

/// See the module.
pub(super) struct Attempt {
    pub(super) kind: PathKind,
    pub(super) socket: Arc<dyn DatagramSocket>,
    /// Sealed data that came with the end of the handshake.
    pub(super) early: Option<Vec<u8>>,
    search: PathSearch,
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

/// What a try rests on.
pub(super) struct Basis<'a> {
    pub(super) secrets: &'a Secrets,
    pub(super) side: Side,
    pub(super) candidates: Vec<SocketAddr>,
    pub(super) patience: Duration,
}

impl Attempt {
    pub(super) fn new(
        kind: PathKind,
        socket: Arc<dyn DatagramSocket>,
        basis: Basis<'_>,
    ) -> Result<Self, KeyError> {
        let Basis { secrets, side, candidates, patience } = basis;
        let (mine, theirs) = match side {
            Side::Inviter => ("inviter", "callee"),
            Side::Callee => ("callee", "inviter"),
        };
        let name = |end: &str| format!("{}:{end}", secrets.session);
        let checks = Checks::new(secrets.media_key.text(), name(mine), name(theirs));
        let rng = StdRng::from_rng(&mut rand::rng());
        Ok(Self {
            kind,
            socket,
            early: None,
            search: PathSearch::new(checks, side, candidates, patience, now(), rng),
            handshake: Handshake::new(secrets.clone(), side)?,
            begun: false,
            deadline: now() + patience + limits::HANDSHAKE_REPEAT_MAX * 2,
        })
    }

    /// Tries until there is an outcome. Events of the session come in while it does.
    pub(super) async fn run(&mut self, events: &mut Receiver<SessionEvent>) -> Outcome {
        let mut buffer = vec![0; 2_048];
        let socket = Arc::clone(&self.socket);
        let mut listening = true;
        loop {
            if self.perform() && !self.begun {
                return Outcome::NoPath;
            }
            if self.established().is_some() {
                return Outcome::Established;
            }
            let timeouts = [self.search.poll_timeout(), self.handshake.poll_timeout()];
            let next = timeouts.into_iter().flatten().min().map_or(self.deadline, |at| at.min(self.deadline));
            tokio::select! {
                biased;
                event = events.recv(), if listening => match event {
                    Some(event) => if let Some(told) = self.hear(event) { return Outcome::Told(told); },
                    None => listening = false,
                },
                received = recv_from(&*socket, &mut buffer) => match received {
                    Ok((length, from)) => self.handle_datagram(from, buffer.get(..length).unwrap_or_default()),
                    Err(error) => {
                        tracing::debug!(%error, "the socket fails");
                        return Outcome::NoPath;
                    }
                },
                () = sleep_until(next.into()) => {
                    if self.deadline <= now() {
                        return Outcome::NoPath;
                    }
                    self.search.handle_timeout(now());
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
        } else if self.search.handle_datagram(from, datagram, now()).is_err() {
            tracing::trace!(%from, "a datagram that is not of this session");
        }
    }

    /// Sends what is to be sent; true when the search has given up.
    pub(super) fn perform(&mut self) -> bool {
        let mut gave_up = false;
        while let Some(effect) = self.search.poll_effect() {
            match effect {
                Effect::Send { to, datagram } => self.send(to, &datagram),
                Effect::Selected(peer) => {
                    self.begun = true;
                    self.handshake.begin(peer, now());
                }
                Effect::NeedRelay => gave_up = true,
            }
        }
        while let Some((to, datagram)) = self.handshake.poll_transmit() {
            self.send(to, &datagram);
        }
        gave_up
    }

    pub(super) fn path(&self) -> Option<PathInUse> {
        let established = self.established()?;
        Some(PathInUse { socket: Arc::clone(&self.socket), established, kind: self.kind })
    }

    fn established(&self) -> Option<Established> {
        self.handshake.established()
    }

    /// A relay's address of the peer is for the path through the relay; the rest is for whoever tries.
    fn hear(&mut self, event: SessionEvent) -> Option<SessionEvent> {
        match (event, self.kind) {
            (SessionEvent::Relayed(relayed), PathKind::Relay) => {
                self.search.add_candidate(relayed.relayed, now());
                None
            }
            // Asked for by both: this one is under way already.
            (SessionEvent::Given(_), PathKind::Relay) => None,
            (SessionEvent::Ended, _) => Some(SessionEvent::Ended),
            (event @ (SessionEvent::Given(_) | SessionEvent::Relayed(_)), PathKind::Direct) => Some(event),
        }
    }

    fn send(&self, to: SocketAddr, datagram: &[u8]) {
        if let Err(error) = self.socket.send_to(datagram, to) {
            tracing::trace!(%error, %to, "a check is not sent");
        }
    }
}

pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
