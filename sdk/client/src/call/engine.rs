//! The life of a call: tries of paths until one carries, then its datagrams, and the moves between the direct
//! path and the relay.
//!
//! Usually one of both sides asks for the relay: the callee when patience is over, the inviter a
//! little later, unless the host has told it of the callee's wish by then. Who is told follows at
//! once, even from a path that looked good: a side that asks has none.

use core::{net::SocketAddr, time::Duration};
use std::{sync::Arc, time::Instant};

use switchhook_protocol::{
    call::{PathKind, PathReport},
    exchange::{ConnectionDataChanged, Exchange, PeerElsewhere},
    invitation::Accepted,
    peer::Path,
    relay::{RelayCredentials, RelayRequest, RelayUpdate},
    server::CdxAddresses,
    time::millis,
};
use tokio::{
    sync::mpsc::{Receiver, Sender},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    CallFailed, Live, Prepared,
    attempt::{Attempt, Outcome, now},
    carry::{Carrying, Ended},
    way::{Basis, Way},
};
use crate::{
    client::Client,
    gather::Gathered,
    limits,
    network::Network,
    path::Pace,
    relay::Allocation,
    secure::{Kind, MediaKey, Secrets, Side, peer_key},
    sessions::SessionEvent,
};

/// See the module.
pub(super) struct Engine {
    client: Client,
    network: Arc<dyn Network>,
    secrets: Secrets,
    side: Side,
    ticket: String,
    pub(super) events: Receiver<SessionEvent>,
    pub(super) cdx: CdxAddresses,
    /// Where this side may be reached, the best first.
    candidates: Vec<SocketAddr>,
    /// The last ticket for CDX.
    exchange: Option<Exchange>,
    /// The verdict on the prepared socket; taken by the first try.
    verdict: Option<Path>,
    /// The direct way, while the call does not take it; none if the verdict was the relay.
    pub(super) direct: Option<Way>,
    /// The peer's relayed address, where it came before there was use for it.
    pub(super) relayed: Option<SocketAddr>,
    /// The peer's last move, where it came while the relay was asked for.
    pub(super) elsewhere: Option<Box<PeerElsewhere>>,
    begun: Instant,
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
        let Prepared { socket, secret, cdx, gathered, .. } = prepared;
        let secrets = Secrets { session, mine: secret, theirs, media_key };
        let mut engine = Self {
            client,
            network,
            secrets,
            side,
            ticket,
            events,
            cdx,
            candidates: gathered.candidates,
            exchange: None,
            verdict: None,
            direct: None,
            relayed: None,
            elsewhere: None,
            begun: now(),
        };
        if let Path::Direct { candidates, patience_ms, exchange } = &path {
            let mut sorted: Vec<_> = candidates.iter().collect();
            sorted.sort_by_key(|candidate| core::cmp::Reverse(candidate.priority));
            let addrs = sorted.into_iter().map(|candidate| candidate.address);
            let pace = Pace::hurried(patience(*patience_ms));
            engine.direct = Some(Way::new(PathKind::Direct, socket, engine.basis(), addrs, pace));
            if let Some(exchange) = exchange {
                engine.tell(exchange);
            }
        }
        engine.verdict = Some(path);
        Ok(engine)
    }

    /// Tries paths until one carries.
    pub(super) async fn establish(&mut self) -> Result<Attempt, CallFailed> {
        let credentials = match self.verdict.take() {
            Some(Path::Relay { relay }) => Some(relay),
            Some(Path::Direct { patience_ms, .. }) => match self.direct(patience(patience_ms)).await? {
                Direct::Established(attempt) => return Ok(*attempt),
                Direct::Given(credentials) => Some(credentials),
                Direct::NoPath => None,
            },
            None => None,
        };
        let credentials = match credentials {
            Some(credentials) => credentials,
            None => self.ask_for_relay().await?,
        };
        self.relay(&credentials).await
    }

    async fn direct(&mut self, patience: Duration) -> Result<Direct, CallFailed> {
        let Some(way) = self.direct.take() else { return Ok(Direct::NoPath) };
        let mut attempt = Attempt::new(way, &self.secrets, self.side, patience)?;
        loop {
            let outcome = match attempt.run(&mut self.events).await {
                Outcome::Established => return Ok(Direct::Established(Box::new(attempt))),
                Outcome::Told(SessionEvent::Given(given)) => Direct::Given(given.relay),
                Outcome::Told(SessionEvent::Relayed(relayed)) => {
                    self.relayed = Some(relayed.relayed);
                    continue;
                }
                Outcome::Told(SessionEvent::Ended) => return Err(CallFailed::Ended),
                Outcome::Told(SessionEvent::Elsewhere(elsewhere)) => {
                    if let Some(exchange) = elsewhere.exchange {
                        self.keep_ticket(exchange);
                    }
                    continue;
                }
                Outcome::NoPath => Direct::NoPath,
            };
            self.keep_looking(attempt.way);
            return Ok(outcome);
        }
    }

    /// A direct path is looked for beside the relay.
    pub(super) fn keep_looking(&mut self, mut way: Way) {
        if way.kind == PathKind::Direct {
            way.search.search_again(Pace::beside(), now());
            self.direct = Some(way);
        }
    }

    /// Asks for the relay, unless the other side has done so first.
    pub(super) async fn ask_for_relay(&mut self) -> Result<RelayCredentials, CallFailed> {
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
                Some(SessionEvent::Elsewhere(elsewhere)) => self.elsewhere = Some(elsewhere),
                Some(SessionEvent::Ended) => return Err(CallFailed::Ended),
                None => return Ok(None),
            }
        }
    }

    pub(super) async fn relay(&mut self, credentials: &RelayCredentials) -> Result<Attempt, CallFailed> {
        let allocation = Allocation::open_trusting(&*self.network, credentials, self.client.tls()).await?;
        let (relayed, observed) = (allocation.relayed(), allocation.observed());
        self.client.relay_update(&RelayUpdate { ticket: self.ticket.clone(), relayed, observed }).await?;
        let candidates = self.relayed.take();
        let pace = Pace::through_relay();
        let way = Way::new(PathKind::Relay, Arc::new(allocation), self.basis(), candidates, pace);
        let mut attempt = Attempt::new(way, &self.secrets, self.side, limits::RELAY)?;
        let outcome = attempt.run(&mut self.events).await;
        self.elsewhere = attempt.elsewhere.take().or_else(|| self.elsewhere.take());
        match outcome {
            Outcome::Established => Ok(attempt),
            Outcome::Told(SessionEvent::Ended) => Err(CallFailed::Ended),
            Outcome::Told(SessionEvent::Given(_) | SessionEvent::Relayed(_) | SessionEvent::Elsewhere(_))
            | Outcome::NoPath => Err(CallFailed::NoPath),
        }
    }

    /// Carries datagrams until the call is over.
    pub(super) async fn run(
        mut self,
        first: Attempt,
        live: Arc<Live>,
        datagrams: Sender<Vec<u8>>,
        (tasks, stop): (TaskTracker, CancellationToken),
    ) {
        let stopped = stop.clone();
        let carrying = async {
            let mut line = first;
            loop {
                tasks.spawn(stop.clone().run_until_cancelled_owned(self.report(line.way.kind)));
                let Some(carrying) = Carrying::new(&mut self, line, &live, &datagrams) else { return };
                line = match Box::pin(carrying.run(&tasks)).await {
                    Ended::Over => return,
                    Ended::Moved(line) => *line,
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
    pub(super) fn report(&self, path: PathKind) -> impl Future<Output = ()> + Send + use<> {
        let took_ms = millis(now() - self.begun);
        let report = PathReport { ticket: self.ticket.clone(), path, took_ms };
        let client = self.client.clone();
        async move {
            if let Err(error) = client.path_report(&report).await {
                tracing::debug!(%error, "the host was not told which path worked");
            }
        }
    }

    /// Tells the host where this device is from here on; the new ticket, if there is one.
    pub(super) fn announce(
        &mut self,
        gathered: Gathered,
    ) -> impl Future<Output = Option<Exchange>> + Send + use<> {
        self.candidates = gathered.candidates;
        let exchange = self.exchange.as_ref().map(|exchange| exchange.ticket.clone());
        let (ticket, connection_data) = (self.ticket.clone(), gathered.connection_data);
        let (client, change) =
            (self.client.clone(), ConnectionDataChanged { ticket, exchange, connection_data });
        async move {
            match client.connection_data(&change).await {
                Ok(taken) => taken.exchange,
                Err(error) => {
                    tracing::debug!(%error, "the host was not told where this device is");
                    None
                }
            }
        }
    }

    /// Tells the other side through CDX, over the direct way.
    pub(super) fn tell(&mut self, exchange: &Exchange) {
        self.exchange = Some(exchange.clone());
        let Some(mut way) = self.direct.take() else { return };
        self.tell_by(&mut way, exchange);
        self.direct = Some(way);
    }

    /// The same, over this way.
    pub(super) fn tell_by(&mut self, way: &mut Way, exchange: &Exchange) {
        self.exchange = Some(exchange.clone());
        way.tell(exchange, self.basis(), &self.candidates);
    }

    /// The other side's move has brought another ticket.
    pub(super) fn keep_ticket(&mut self, exchange: Exchange) {
        self.exchange = Some(exchange);
    }

    /// Whether this side was seen here when it looked last.
    pub(super) fn is_at(&self, addr: SocketAddr) -> bool {
        self.candidates.contains(&addr)
    }

    const fn basis(&self) -> Basis<'_> {
        Basis { secrets: &self.secrets, side: self.side }
    }
}

fn patience(of_verdict: Option<u32>) -> Duration {
    of_verdict.map_or(limits::PATIENCE, |ms| Duration::from_millis(ms.into()))
}

/// What became of the direct try.
enum Direct {
    Established(Box<Attempt>),
    Given(RelayCredentials),
    NoPath,
}
