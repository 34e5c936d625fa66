//! The life of a call: tries of paths until one carries, then its datagrams, and once at most the
//! move from a direct path to the relay.
//!
//! Usually one of both sides asks for the relay: the callee when patience is over, the inviter a
//! little later, unless the host has told it of the callee's wish by then. Who is told follows at
//! once, even from a path that looked good: a side that asks has none.

use core::{net::SocketAddr, time::Duration};
use std::{io, sync::Arc, time::Instant};

use switchhook_protocol::{
    call::{PathKind, PathReport},
    connection_data::Candidate,
    invitation::Accepted,
    peer::Path,
    relay::{RelayCredentials, RelayRequest, RelayUpdate},
    time::millis,
};
use tokio::{
    sync::mpsc::{Receiver, Sender},
    time::{interval, sleep_until, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    CallFailed, Live, PathInUse, Prepared,
    attempt::{Attempt, Basis, Outcome, now},
};
use crate::{
    client::Client,
    limits,
    network::{DatagramSocket, Network, recv_from},
    relay::Allocation,
    secure::{Kind, MAX_SEALED, MediaKey, Secrets, Side, is_data, peer_key},
    sessions::SessionEvent,
};

/// See the module.
pub(super) struct Engine {
    client: Client,
    network: Arc<dyn Network>,
    secrets: Secrets,
    side: Side,
    ticket: String,
    events: Receiver<SessionEvent>,
    /// The socket that was prepared, and the verdict on it; taken by the first try.
    first: Option<(Arc<dyn DatagramSocket>, Path)>,
    /// The peer's relayed address, where it came before there was use for it.
    relayed: Option<SocketAddr>,
    begun: Instant,
}

/// How the datagrams of one path ended.
enum Ended {
    /// By one side's wish, by the host's word, or by silence.
    Over,
    /// The other side asks for the relay.
    Relay(RelayCredentials),
}

impl Engine {
    pub(super) fn new(
        client: Client,
        network: Arc<dyn Network>,
        prepared: Prepared,
        side: Side,
        accepted: Accepted,
    ) -> Result<Self, CallFailed> {
        let Accepted { session, ticket, peer, path, media_key, .. } = accepted;
        let theirs = peer_key(&peer, client.tenant())?;
        let events = client.sessions().follow(&session);
        let media_key = MediaKey::read(&media_key)?;
        let secrets = Secrets { session, mine: prepared.secret, theirs, media_key };
        let first = Some((prepared.socket, path));
        let begun = now();
        Ok(Self { client, network, secrets, side, ticket, events, first, relayed: None, begun })
    }

    /// Tries paths until one carries.
    pub(super) async fn establish(&mut self) -> Result<Attempt, CallFailed> {
        let credentials = match self.first.take() {
            Some((_, Path::Relay { relay })) => Some(relay),
            Some((socket, Path::Direct { candidates, patience_ms })) => {
                let patience = patience_ms.map_or(limits::PATIENCE, |ms| Duration::from_millis(ms.into()));
                match self.direct(socket, &candidates, patience).await? {
                    Direct::Established(attempt) => return Ok(*attempt),
                    Direct::Given(credentials) => Some(credentials),
                    Direct::NoPath => None,
                }
            }
            None => None,
        };
        let credentials = match credentials {
            Some(credentials) => credentials,
            None => self.ask_for_relay().await?,
        };
        self.relay(&credentials).await
    }

    async fn direct(
        &mut self,
        socket: Arc<dyn DatagramSocket>,
        candidates: &[Candidate],
        patience: Duration,
    ) -> Result<Direct, CallFailed> {
        let mut sorted: Vec<&Candidate> = candidates.iter().collect();
        sorted.sort_by_key(|candidate| core::cmp::Reverse(candidate.priority));
        let candidates = sorted.into_iter().map(|candidate| candidate.address).collect();
        let basis = Basis { secrets: &self.secrets, side: self.side, candidates, patience };
        let mut attempt = Attempt::new(PathKind::Direct, socket, basis)?;
        loop {
            match attempt.run(&mut self.events).await {
                Outcome::Established => return Ok(Direct::Established(Box::new(attempt))),
                Outcome::Told(SessionEvent::Given(given)) => return Ok(Direct::Given(given.relay)),
                Outcome::Told(SessionEvent::Relayed(relayed)) => self.relayed = Some(relayed.relayed),
                Outcome::Told(SessionEvent::Ended) => return Err(CallFailed::Ended),
                Outcome::NoPath => return Ok(Direct::NoPath),
            }
        }
    }

    /// Asks for the relay, unless the other side has done so first.
    async fn ask_for_relay(&mut self) -> Result<RelayCredentials, CallFailed> {
        let grace = match self.side {
            Side::Inviter => limits::INVITER_GRACE,
            Side::Callee => Duration::ZERO,
        };
        if let Ok(given) = timeout(grace, self.given()).await
            && let Some(credentials) = given?
        {
            return Ok(credentials);
        }
        let request = RelayRequest { ticket: self.ticket.clone() };
        Ok(self.client.relay_request(&request).await?.relay)
    }

    async fn given(&mut self) -> Result<Option<RelayCredentials>, CallFailed> {
        loop {
            match self.events.recv().await {
                Some(SessionEvent::Given(given)) => return Ok(Some(given.relay)),
                Some(SessionEvent::Relayed(relayed)) => self.relayed = Some(relayed.relayed),
                Some(SessionEvent::Ended) => return Err(CallFailed::Ended),
                None => return Ok(None),
            }
        }
    }

    async fn relay(&mut self, credentials: &RelayCredentials) -> Result<Attempt, CallFailed> {
        let allocation = Allocation::open(&*self.network, credentials).await?;
        let (relayed, observed) = (allocation.relayed(), allocation.observed());
        self.client.relay_update(&RelayUpdate { ticket: self.ticket.clone(), relayed, observed }).await?;
        let candidates = self.relayed.take().into_iter().collect();
        let (secrets, side, patience) = (&self.secrets, self.side, limits::RELAY);
        let basis = Basis { secrets, side, candidates, patience };
        let mut attempt = Attempt::new(PathKind::Relay, Arc::new(allocation), basis)?;
        match attempt.run(&mut self.events).await {
            Outcome::Established => Ok(attempt),
            Outcome::Told(SessionEvent::Ended) => Err(CallFailed::Ended),
            Outcome::Told(SessionEvent::Given(_) | SessionEvent::Relayed(_)) | Outcome::NoPath => {
                Err(CallFailed::NoPath)
            }
        }
    }

    /// Carries datagrams until the call is over.
    pub(super) async fn run(
        mut self,
        mut attempt: Attempt,
        live: Arc<Live>,
        datagrams: Sender<Vec<u8>>,
        (tasks, stop): (TaskTracker, CancellationToken),
    ) {
        let stopped = stop.clone();
        let carrying = async {
            loop {
                live.set(attempt.path());
                tasks.spawn(stop.clone().run_until_cancelled_owned(self.report(attempt.kind)));
                let Ended::Relay(credentials) = self.carry(&mut attempt, &datagrams).await else { return };
                attempt = match self.relay(&credentials).await {
                    Ok(attempt) => attempt,
                    Err(error) => return tracing::info!(%error, "the call cannot move to the relay"),
                };
            }
        };
        tokio::select! {
            () = stopped.cancelled() => {}
            () = carrying => {}
        }
        if let Some(path) = live.get() {
            // Lost, it costs the other side a wait; twice, hardly ever.
            path.send(Kind::Bye, &[]);
            path.send(Kind::Bye, &[]);
        }
        live.set(None);
    }

    /// Tells which path worked, for policies that learn; a host that does not care changes nothing.
    fn report(&self, path: PathKind) -> impl Future<Output = ()> + Send + use<> {
        let took_ms = millis(now() - self.begun);
        let report = PathReport { ticket: self.ticket.clone(), path, took_ms };
        let client = self.client.clone();
        async move {
            if let Err(error) = client.path_report(&report).await {
                tracing::debug!(%error, "the host was not told which path worked");
            }
        }
    }

    async fn carry(&mut self, attempt: &mut Attempt, datagrams: &Sender<Vec<u8>>) -> Ended {
        let Some(path) = attempt.path() else { return Ended::Over };
        let mut heard = now();
        if let Some(early) = attempt.early.take()
            && !deliver(&path, &early, datagrams, &mut heard)
        {
            return Ended::Over;
        }
        let socket = Arc::clone(&path.socket);
        let mut buffer = vec![0; 2_048];
        let mut alive = interval(limits::KEEP_ALIVE);
        let mut listening = true;
        loop {
            tokio::select! {
                biased; // data first: the rest can wait for a datagram
                received = recv_from(&*socket, &mut buffer) => match received {
                    Ok((length, from)) => {
                        let datagram = buffer.get(..length).unwrap_or_default();
                        if !take_in(attempt, &path, (from, datagram), datagrams, &mut heard) {
                            return Ended::Over;
                        }
                    }
                    Err(error) if is_passing(&error) => {}
                    Err(error) => {
                        tracing::info!(%error, "the call's socket fails");
                        return Ended::Over;
                    }
                },
                event = self.events.recv(), if listening => match event {
                    Some(SessionEvent::Given(given)) if attempt.kind == PathKind::Direct => {
                        return Ended::Relay(given.relay);
                    }
                    Some(SessionEvent::Relayed(relayed)) => self.relayed = Some(relayed.relayed),
                    Some(SessionEvent::Given(_)) => {}
                    Some(SessionEvent::Ended) => return Ended::Over,
                    None => listening = false,
                },
                _ = alive.tick() => path.send(Kind::Alive, &[]),
                () = sleep_until((heard + limits::PATH_SILENCE).into()) => {
                    tracing::info!("the other side of a call is silent");
                    return Ended::Over;
                }
            }
        }
    }
}

/// What became of the direct try.
enum Direct {
    Established(Box<Attempt>),
    Given(RelayCredentials),
    NoPath,
}

/// Takes in a datagram of an established path; false when the other side says goodbye.
fn take_in(
    attempt: &mut Attempt,
    path: &PathInUse,
    (from, datagram): (SocketAddr, &[u8]),
    datagrams: &Sender<Vec<u8>>,
    heard: &mut Instant,
) -> bool {
    if is_data(datagram) {
        return deliver(path, datagram, datagrams, heard);
    }
    // A repeat of a check or of the handshake: the other side has missed our answer.
    attempt.handle_datagram(from, datagram);
    _ = attempt.perform();
    true
}

fn deliver(path: &PathInUse, datagram: &[u8], datagrams: &Sender<Vec<u8>>, heard: &mut Instant) -> bool {
    let mut out = [0; MAX_SEALED];
    let Some((kind, payload)) = path.established.transport.open(datagram, &mut out) else { return true };
    *heard = now();
    match kind {
        Kind::Application => {
            // Full, the newest is lost, as in a network; gone, the application only sends.
            if datagrams.try_send(payload.to_vec()).is_err() {
                tracing::trace!("a datagram is lost at the application's queue");
            }
        }
        Kind::Alive => {}
        Kind::Bye => return false,
    }
    true
}

/// Windows reports here that an earlier datagram found nobody; the next may.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused)
}
