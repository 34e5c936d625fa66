//! The life of a call: tries of paths until one carries, then its datagrams, and the moves between the direct
//! path and the relay.

use core::time::Duration;
use std::{sync::Arc, time::Instant};

use switchhook_protocol::{call::PathKind, invitation::Accepted, peer::Path, relay::RelayCredentials};
use tokio::sync::mpsc::{Receiver, Sender};
use tokio_util::sync::CancellationToken;

use super::{
    CallFailed, Prepared, Wish,
    attempt::{Attempt, Outcome, now},
    carry::{Carrying, Ended, OfApplication},
    footing::Footing,
    guess,
    inbox::Inbox,
    live::Live,
    way::Way,
    whereabouts::Whereabouts,
};
use crate::{
    client::Client,
    limits,
    network::{DatagramSocket, Network},
    path::Pace,
    secure::{Kind, MediaKey, Secrets, Side, peer_key},
    sessions::SessionEvent,
};

/// See the module.
pub(super) struct Engine {
    pub(super) footing: Footing,
    pub(super) inbox: Inbox,
    pub(super) whereabouts: Whereabouts,
    /// The verdict on the prepared socket; taken by the first try.
    verdict: Option<Path>,
    /// The direct way, while the call does not take it; none if the verdict was the relay.
    pub(super) direct: Option<Way>,
    /// The prepared socket, where the verdict was the relay until the callee accepts a direct way.
    hidden: Option<Arc<dyn DatagramSocket>>,
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
        let Prepared { socket, secret, observer, gathered, .. } = prepared;
        let secrets = Secrets { session, mine: secret, theirs, media_key };
        let footing = Footing { client, network, secrets, side, ticket, peer: peer.endpoint };
        let own = &gathered.connection_data.claimed.host_candidates;
        let addresses = own.iter().map(|candidate| candidate.address).collect();
        let mut candidates = gathered.candidates;
        let (mut direct, mut hidden) = (None, None);
        if let Path::Relay { until_accepted: true, .. } = &path {
            hidden = Some(Arc::clone(&socket));
        }
        if let Path::Direct { candidates: theirs, patience_ms, guessing, .. } = &path {
            if guessing.next_ports {
                candidates.extend(gathered.next_ports);
            }
            let mut sorted: Vec<_> = theirs.iter().collect();
            sorted.sort_by_key(|candidate| core::cmp::Reverse(candidate.priority));
            let addrs = sorted.into_iter().map(|candidate| candidate.address);
            let pace = Pace::hurried(patience(*patience_ms));
            let (socket, guess) = guess::prepare(guessing.birthday, socket, &footing.network);
            let mut way = Way::new(PathKind::Direct, socket, footing.basis(), addrs, pace);
            way.guess = guess;
            direct = Some(way);
        }
        let mut whereabouts = Whereabouts::new(observer, candidates, addresses);
        if let (Path::Direct { exchange: Some(exchange), .. }, Some(way)) = (&path, &mut direct) {
            whereabouts.tell(exchange.clone(), way, &footing);
        }
        let inbox = Inbox::new(events, None);
        Ok(Self { footing, inbox, whereabouts, verdict: Some(path), direct, hidden, begun: now() })
    }

    /// Tries paths until one carries.
    pub(super) async fn establish(&mut self) -> Result<Attempt, CallFailed> {
        let credentials = match self.verdict.take() {
            Some(Path::Relay { relay, .. }) => Some(relay),
            Some(Path::Direct { patience_ms, .. }) => match self.directly(patience(patience_ms)).await? {
                Direct::Established(attempt) => return Ok(*attempt),
                Direct::Given(credentials) => Some(credentials),
                Direct::NoPath => None,
            },
            None => None,
        };
        let credentials = match credentials {
            Some(credentials) => credentials,
            None => self.footing.ask_for_relay(&mut self.inbox).await?,
        };
        self.footing.through_relay(credentials, &mut self.inbox).await
    }

    async fn directly(&mut self, patience: Duration) -> Result<Direct, CallFailed> {
        let Some(way) = self.direct.take() else { return Ok(Direct::NoPath) };
        let mut attempt = Attempt::new(way, &self.footing.secrets, self.footing.side, patience)?;
        loop {
            let outcome = match attempt.run(&mut self.inbox).await {
                Outcome::Established => return Ok(Direct::Established(Box::new(attempt))),
                Outcome::Told(SessionEvent::Given(given)) => Direct::Given(given.relay),
                Outcome::Told(SessionEvent::Elsewhere(elsewhere)) => {
                    if let Some(exchange) = elsewhere.exchange {
                        self.whereabouts.keep_ticket(exchange);
                    }
                    continue;
                }
                Outcome::Told(SessionEvent::Ended) => return Err(CallFailed::Ended),
                // Kept in the inbox.
                Outcome::Told(SessionEvent::Relayed(_) | SessionEvent::Renewed(_)) => continue,
                Outcome::NoPath => Direct::NoPath,
            };
            self.keep_looking(attempt.way);
            return Ok(outcome);
        }
    }

    /// A direct path is looked for anew, beside the relay.
    pub(super) fn keep_looking(&mut self, mut way: Way) {
        if way.kind == PathKind::Direct {
            way.look_beside();
            self.direct = Some(way);
        }
    }

    /// From here on each side may know where the other is: a direct way begins at the prepared socket, if it has not
    /// yet and the verdict allows for it. True if it begins.
    pub(super) fn show(&mut self) -> bool {
        let Some(socket) = self.hidden.take() else { return false };
        let way = Way::new(PathKind::Direct, socket, self.footing.basis(), [], Pace::beside());
        self.direct = Some(way);
        true
    }

    /// Carries datagrams until the call is over.
    pub(super) async fn run(
        mut self,
        first: Attempt,
        live: Arc<Live>,
        (datagrams, wishes): (Sender<Vec<u8>>, Receiver<Wish>),
        stop: CancellationToken,
    ) {
        let mut of_application = OfApplication { datagrams, wishes };
        let carrying = async {
            let mut line = first;
            loop {
                self.report(line.way.kind);
                let Some(carrying) = Carrying::new(&mut self, line, &live, &mut of_application) else {
                    return;
                };
                line = match Box::pin(carrying.run()).await {
                    Ended::Over => return,
                    Ended::Moved(line) => *line,
                };
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = carrying => {}
        }
        if let Some(path) = live.get() {
            // Lost, it costs the other side a wait; twice, hardly ever.
            path.send(Kind::Bye, &[]);
            path.send(Kind::Bye, &[]);
        }
        live.set(None);
    }

    /// Tells which path worked, and after how long.
    pub(super) fn report(&self, path: PathKind) {
        self.footing.report(path, now() - self.begun);
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
