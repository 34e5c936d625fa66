//! Carrying datagrams over an established path, and the moves between paths (NAT-4, NAT-5).
//!
//! The *line* is the path that the handshake went over. Where that is the relay, a direct path is looked for
//! beside it; when there is one, data goes over it at once, sealed under the same keys. Both are received from all
//! the while, and both sides move by themselves: nothing is lost by the move, and what comes late counts by its
//! number. The relay stays in reserve until the direct path has carried alone for a while; then the direct
//! path is the line.
//!
//! A direct path that answers no more is looked for anew, CDX is asked where this device is, and the host tells
//! the other side. If that does not help in time, the call goes on over the relay: at once where it is in
//! reserve, else by asking for it.

use core::{net::SocketAddr, ops::ControlFlow};
use std::{io, sync::Arc, time::Instant};

use switchhook_protocol::{
    call::PathKind,
    exchange::{Exchange, PeerElsewhere},
    relay::RelayCredentials,
};
use tokio::{
    sync::mpsc::Sender,
    task::JoinSet,
    time::{interval, sleep_until},
};
use tokio_util::task::TaskTracker;

use super::{
    CallFailed, Live, PathInUse,
    attempt::{Attempt, now},
    engine::Engine,
    way::{News, Way},
};
use crate::{
    limits,
    network::{DatagramSocket, recv_from},
    path::Pace,
    secure::{Kind, MAX_SEALED, is_data},
    sessions::SessionEvent,
};

/// How carrying ended.
pub(super) enum Ended {
    /// By one side's wish, by the host's word, or by silence.
    Over,
    /// The call goes on over this one.
    Moved(Box<Attempt>),
}

type Flow = ControlFlow<Ended>;

/// See the module.
pub(super) struct Carrying<'a> {
    engine: &'a mut Engine,
    line: Attempt,
    in_use: PathInUse,
    live: &'a Live,
    datagrams: &'a Sender<Vec<u8>>,
    begun: Instant,
    /// When the other side was heard last, over any path.
    heard: Instant,
    /// Since when nothing has needed the line, while data goes beside it.
    idle_line: Instant,
    /// The device's own addresses, when there were any.
    addresses: Vec<SocketAddr>,
    announcing: JoinSet<Option<Exchange>>,
}

/// Which socket a datagram came in at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Via {
    Line,
    Beside,
}

impl<'a> Carrying<'a> {
    /// None if the line is not established.
    pub(super) fn new(
        engine: &'a mut Engine,
        line: Attempt,
        live: &'a Live,
        datagrams: &'a Sender<Vec<u8>>,
    ) -> Option<Self> {
        let in_use = line.path()?;
        live.set(Some(in_use.clone()));
        let begun = now();
        let (heard, idle_line) = (begun, begun);
        let (addresses, announcing) = (Vec::new(), JoinSet::new());
        Some(Self { engine, line, in_use, live, datagrams, begun, heard, idle_line, addresses, announcing })
    }

    pub(super) async fn run(mut self, tasks: &TaskTracker) -> Ended {
        if let Some(early) = self.line.early.take()
            && let ControlFlow::Break(ended) = self.deliver(&early, Via::Line)
        {
            return ended;
        }
        let mut buffers = [[0; 2_048]; 2];
        let [of_line, of_beside] = &mut buffers;
        let (mut alive, mut look) = (interval(limits::KEEP_ALIVE), interval(limits::LOOK_AT_ADDRESSES));
        let mut listening = true;
        loop {
            if let ControlFlow::Break(ended) = self.settle(tasks).await {
                return self.end(ended);
            }
            let (line, beside) = self.sockets();
            let next = self.next_timeout();
            // Whatever is ready has its turn: data never keeps a check or the host's word waiting.
            let flow = tokio::select! {
                received = recv_from(&*line, of_line) => self.received(Via::Line, received, of_line),
                received = receive(beside.as_deref(), of_beside) => self.received(Via::Beside, received, of_beside),
                event = self.engine.events.recv(), if listening => match event {
                    Some(event) => self.hear(event).await,
                    None => { listening = false; Flow::Continue(()) }
                },
                Some(announced) = self.announcing.join_next() => self.announced(announced.ok().flatten()),
                _ = alive.tick() => { self.in_use.send(Kind::Alive, &[]); Flow::Continue(()) }
                _ = look.tick() => self.look_at_addresses(),
                () = sleep_until(next.into()) => self.handle_timeout(),
            };
            if let ControlFlow::Break(ended) = flow {
                return self.end(ended);
            }
        }
    }

    /// A direct line is looked for beside the next one.
    fn end(self, ended: Ended) -> Ended {
        if matches!(ended, Ended::Moved(_)) {
            self.engine.keep_looking(self.line.way);
        }
        ended
    }

    fn sockets(&self) -> (Arc<dyn DatagramSocket>, Option<Arc<dyn DatagramSocket>>) {
        let beside = self.engine.direct.as_ref().map(|way| Arc::clone(&way.socket));
        (Arc::clone(&self.line.way.socket), beside)
    }

    fn next_timeout(&self) -> Instant {
        let ways = [self.line.way.poll_timeout(), self.engine.direct.as_ref().and_then(Way::poll_timeout)];
        let reserve = self.carries_beside().then(|| self.idle_line + limits::RESERVE);
        let silence = self.heard + limits::PATH_SILENCE;
        ways.into_iter().chain([reserve]).flatten().fold(silence, Instant::min)
    }

    fn handle_timeout(&mut self) -> Flow {
        if self.heard + limits::PATH_SILENCE <= now() {
            tracing::info!("the other side of a call is silent");
            return Flow::Break(Ended::Over);
        }
        self.line.way.handle_timeout();
        if let Some(way) = &mut self.engine.direct {
            way.handle_timeout();
        }
        if self.carries_beside() && self.idle_line + limits::RESERVE <= now() {
            self.drop_reserve();
        }
        Flow::Continue(())
    }

    fn received(&mut self, via: Via, received: io::Result<(usize, SocketAddr)>, buffer: &[u8]) -> Flow {
        match received {
            Ok((length, from)) => self.take_in(via, from, buffer.get(..length).unwrap_or_default()),
            Err(error) if is_passing(&error) => Flow::Continue(()),
            Err(error) => self.lost(via, &error),
        }
    }

    fn take_in(&mut self, via: Via, from: SocketAddr, datagram: &[u8]) -> Flow {
        if is_data(datagram) {
            return self.deliver(datagram, via);
        }
        match (via, &mut self.engine.direct) {
            (Via::Beside, Some(way)) => way.handle_datagram(from, datagram),
            // A repeat of the handshake among others: the other side has missed our answer.
            (Via::Line, _) | (Via::Beside, None) => {
                self.line.handle_datagram(from, datagram);
                self.line.repeat();
            }
        }
        Flow::Continue(())
    }

    fn deliver(&mut self, datagram: &[u8], via: Via) -> Flow {
        let mut out = [0; MAX_SEALED];
        let Some((kind, payload)) = self.in_use.established.transport.open(datagram, &mut out) else {
            return Flow::Continue(());
        };
        self.heard = now();
        if via == Via::Line {
            self.idle_line = self.heard;
        }
        match kind {
            Kind::Application => {
                // Full, the newest is lost, as in a network; gone, the application only sends.
                if self.datagrams.try_send(payload.to_vec()).is_err() {
                    tracing::trace!("a datagram is lost at the application's queue");
                }
                Flow::Continue(())
            }
            Kind::Alive => Flow::Continue(()),
            Kind::Bye => Flow::Break(Ended::Over),
        }
    }

    /// A socket fails for good: the other one may go on alone.
    fn lost(&mut self, via: Via, error: &io::Error) -> Flow {
        tracing::info!(%error, "a socket of the call fails");
        match via {
            Via::Beside => {
                self.engine.direct = None;
                self.take(self.line.path())
            }
            Via::Line if self.carries_beside() => {
                self.drop_reserve();
                Flow::Continue(())
            }
            Via::Line => Flow::Break(Ended::Over),
        }
    }

    /// Sends what both ways have to send, and acts on what became known.
    async fn settle(&mut self, tasks: &TaskTracker) -> Flow {
        while let Some(news) = self.line.way.perform() {
            self.on_line(news).await?;
        }
        while let Some(news) = self.engine.direct.as_mut().and_then(Way::perform) {
            self.on_beside(news, tasks)?;
        }
        Flow::Continue(())
    }

    async fn on_line(&mut self, news: News) -> Flow {
        match news {
            News::Selected(peer) => self.reach(peer),
            News::Gathered(gathered) => {
                self.announcing.spawn(self.engine.announce(gathered));
                Flow::Continue(())
            }
            News::InDoubt => {
                self.line.way.gather(self.engine.cdx);
                Flow::Continue(())
            }
            News::NeedRelay => self.ask_for_relay().await,
        }
    }

    fn on_beside(&mut self, news: News, tasks: &TaskTracker) -> Flow {
        match news {
            News::Selected(peer) => {
                self.idle_line = now();
                tasks.spawn(self.engine.report(PathKind::Direct));
                let path = self.engine.direct.as_ref().map(|way| self.in_use.over(way, peer));
                self.take(path)
            }
            News::Gathered(gathered) => {
                self.announcing.spawn(self.engine.announce(gathered));
                Flow::Continue(())
            }
            News::InDoubt | News::NeedRelay => {
                if let Some(way) = &mut self.engine.direct {
                    way.gather(self.engine.cdx);
                }
                self.take(self.line.path())
            }
        }
    }

    /// The line's peer is reached here from now on.
    fn reach(&mut self, peer: SocketAddr) -> Flow {
        if self.carries_beside() {
            return Flow::Continue(());
        }
        self.take(Some(self.in_use.over(&self.line.way, peer)))
    }

    /// Data goes over this path from now on, and says so by going.
    fn take(&mut self, path: Option<PathInUse>) -> Flow {
        let Some(path) = path else { return Flow::Break(Ended::Over) };
        path.send(Kind::Alive, &[]);
        self.live.set(Some(path.clone()));
        self.in_use = path;
        Flow::Continue(())
    }

    fn carries_beside(&self) -> bool {
        self.in_use.kind == PathKind::Direct && self.line.way.kind == PathKind::Relay
    }

    /// The direct path is the line; the allocation is given back.
    fn drop_reserve(&mut self) {
        if let Some(mut way) = self.engine.direct.take() {
            way.search.set_pace(Pace::hurried(limits::PATIENCE));
            self.line.way = way;
        }
    }

    /// The direct way, whichever place it has.
    fn direct(&mut self) -> Option<&mut Way> {
        if self.line.way.kind == PathKind::Direct {
            return Some(&mut self.line.way);
        }
        self.engine.direct.as_mut()
    }

    async fn hear(&mut self, event: SessionEvent) -> Flow {
        match event {
            SessionEvent::Given(given) => {
                let same = self.line.way.kind == PathKind::Relay && now() < self.begun + limits::SAME_WISH;
                if same { Flow::Continue(()) } else { self.move_to(&given.relay).await }
            }
            SessionEvent::Relayed(relayed) => {
                self.engine.relayed = Some(relayed.relayed);
                Flow::Continue(())
            }
            SessionEvent::Elsewhere(elsewhere) => self.peer_elsewhere(&elsewhere),
            SessionEvent::Ended => Flow::Break(Ended::Over),
        }
    }

    fn peer_elsewhere(&mut self, elsewhere: &PeerElsewhere) -> Flow {
        let own_is_known = elsewhere.exchange.as_ref().is_none_or(|exchange| self.engine.is_at(exchange.own));
        let cdx = self.engine.cdx;
        if let Some(way) = self.direct() {
            way.search.move_peer(elsewhere.candidates.iter().map(|candidate| candidate.address), now());
            elsewhere.exchange.iter().for_each(|exchange| way.renew(exchange));
            if !own_is_known {
                way.gather(cdx);
            }
        }
        if let Some(exchange) = &elsewhere.exchange {
            self.engine.keep_ticket(exchange.clone());
        }
        Flow::Continue(())
    }

    /// The host knows where this device is; the other side is told by CDX, too.
    fn announced(&mut self, exchange: Option<Exchange>) -> Flow {
        let Some(exchange) = exchange else { return Flow::Continue(()) };
        if self.line.way.kind == PathKind::Direct {
            self.engine.tell_by(&mut self.line.way, &exchange);
        } else {
            self.engine.tell(&exchange);
        }
        Flow::Continue(())
    }

    /// Another address is another network: what was found there counts no more.
    fn look_at_addresses(&mut self) -> Flow {
        let cdx = self.engine.cdx;
        let Some(way) = self.direct() else { return Flow::Continue(()) };
        let addresses = way.socket.host_addresses();
        let before = core::mem::take(&mut self.addresses);
        if addresses.is_empty() || addresses == before {
            self.addresses = before;
            return Flow::Continue(());
        }
        if !before.is_empty()
            && let Some(way) = self.direct()
        {
            way.search.start_over(now());
            way.gather(cdx);
        }
        self.addresses = addresses;
        Flow::Continue(())
    }

    /// No direct path answers: the relay is asked for, and until there is one the search goes on.
    async fn ask_for_relay(&mut self) -> Flow {
        match self.engine.ask_for_relay().await {
            Ok(credentials) => self.move_to(&credentials).await,
            Err(error) => self.not_moved(&error),
        }
    }

    async fn move_to(&mut self, credentials: &RelayCredentials) -> Flow {
        match self.engine.relay(credentials).await {
            Ok(line) => Flow::Break(Ended::Moved(Box::new(line))),
            Err(error) => self.not_moved(&error),
        }
    }

    fn not_moved(&mut self, error: &CallFailed) -> Flow {
        tracing::info!(%error, "the call cannot move to the relay");
        if matches!(error, CallFailed::Ended) {
            return Flow::Break(Ended::Over);
        }
        if let Some(way) = self.direct() {
            way.search.start_over(now());
        }
        Flow::Continue(())
    }
}

/// Receives where there is a socket, else never.
async fn receive(socket: Option<&dyn DatagramSocket>, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
    match socket {
        Some(socket) => recv_from(socket, buffer).await,
        None => core::future::pending().await,
    }
}

/// Windows reports here that an earlier datagram found nobody; the next may.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused)
}
