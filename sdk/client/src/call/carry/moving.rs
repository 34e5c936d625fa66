//! What makes a call move: what became known of its ways, and what the host and the other side say.

use core::net::SocketAddr;

use switchhook_protocol::{
    call::PathKind,
    event::PeerRelayed,
    exchange::{Exchange, PeerElsewhere},
    session::Renewed,
};

use super::{
    Carrying, Ended, Flow,
    making::{Made, Making},
};
use crate::{
    call::{
        CallFailed, Wish,
        attempt::now,
        live::PathInUse,
        relaying::Leg,
        way::{News, Way},
    },
    limits,
    path::Pace,
    secure::{Kind, Side},
    sessions::SessionEvent,
};

impl Carrying<'_> {
    pub(super) fn on_line(&mut self, news: News) -> Flow {
        match news {
            News::Selected(peer) => return self.reach(peer),
            News::Gathered(gathered) => self.engine.whereabouts.gathered(gathered, &self.engine.footing),
            News::InDoubt => match (self.line.way.kind, self.line.leg.clone()) {
                (PathKind::Relay, Some(leg)) => self.make(Making::mending, leg),
                (PathKind::Relay, None) | (PathKind::Direct, _) => self.ask_where(),
            },
            // Nobody misses the reserve.
            News::NeedRelay if self.carries_beside() => self.drop_reserve(),
            // No direct path answers, or none through the relay: it is asked for, and the search goes on.
            News::NeedRelay => self.make(|engine, ()| Making::asking(engine), ()),
        }
        Flow::Continue(())
    }

    pub(super) fn on_beside(&mut self, news: News) -> Flow {
        match news {
            News::Selected(peer) => {
                self.idle_line = now();
                self.engine.report(PathKind::Direct);
                let path = self.engine.direct.as_ref().map(|way| self.in_use.over(way, peer));
                self.take(path)
            }
            News::Gathered(gathered) => {
                self.engine.whereabouts.gathered(gathered, &self.engine.footing);
                Flow::Continue(())
            }
            News::InDoubt | News::NeedRelay => {
                self.ask_where();
                let line = self.line_in_use();
                self.take(line)
            }
        }
    }

    /// The line's peer is reached here from now on.
    fn reach(&mut self, peer: SocketAddr) -> Flow {
        self.line.peer = Some(peer);
        if self.carries_beside() {
            return Flow::Continue(());
        }
        let line = self.line_in_use();
        self.take(line)
    }

    /// The line, as it is reached at present.
    pub(super) fn line_in_use(&self) -> Option<PathInUse> {
        let peer = self.line.peer.or_else(|| self.line.path().map(|path| path.established.peer))?;
        Some(self.in_use.over(&self.line.way, peer))
    }

    /// Data goes over this path from now on, and says so by going.
    pub(super) fn take(&mut self, path: Option<PathInUse>) -> Flow {
        let Some(path) = path else { return Flow::Break(Ended::Over) };
        path.send(Kind::Alive, &[]);
        self.live.set(Some(path.clone()));
        self.in_use = path;
        Flow::Continue(())
    }

    pub(super) fn carries_beside(&self) -> bool {
        self.in_use.kind == PathKind::Direct && self.line.way.kind == PathKind::Relay
    }

    /// The direct path is the line; the allocation is given back.
    pub(super) fn drop_reserve(&mut self) {
        if let Some(mut way) = self.engine.direct.take() {
            way.search.set_pace(Pace::hurried(limits::PATIENCE));
            self.line.way = way;
            (self.line.leg, self.line.peer) = (None, Some(self.in_use.established.peer));
            self.making = None;
        }
    }

    /// The direct way, whichever place it has.
    fn direct(&mut self) -> Option<&mut Way> {
        if self.line.way.kind == PathKind::Direct {
            return Some(&mut self.line.way);
        }
        self.engine.direct.as_mut()
    }

    /// Has CDX asked where this device is. Where the verdict was the relay, nobody is to know.
    pub(super) fn ask_where(&mut self) {
        let way = match self.line.way.kind {
            PathKind::Direct => Some(&mut self.line.way),
            PathKind::Relay => self.engine.direct.as_mut(),
        };
        if let Some(way) = way {
            self.engine.whereabouts.ask(way);
        }
    }

    pub(super) fn hear(&mut self, event: SessionEvent) -> Flow {
        match event {
            SessionEvent::Given(given) => {
                let same = self.line.way.kind == PathKind::Relay && now() < self.begun + limits::SAME_WISH;
                let relay = given.relay.clone();
                let is_heard =
                    self.making.as_ref().is_some_and(|making| making.hear(SessionEvent::Given(given)));
                if !is_heard && !same {
                    self.making = Some(Making::following(self.engine, relay));
                }
            }
            SessionEvent::Relayed(relayed) => self.peer_relayed(relayed),
            SessionEvent::Elsewhere(elsewhere) => self.peer_elsewhere(&elsewhere),
            SessionEvent::Renewed(renewed) => return self.renew(*renewed),
            SessionEvent::Ended => return Flow::Break(Ended::Over),
        }
        Flow::Continue(())
    }

    /// What was said before there was use for it.
    pub(super) fn catch_up(&mut self) -> Flow {
        if let Some(elsewhere) = self.engine.inbox.elsewhere.take() {
            self.peer_elsewhere(&elsewhere);
        }
        self.engine.inbox.renewed.take().map_or(Flow::Continue(()), |renewed| self.renew(*renewed))
    }

    fn renew(&mut self, renewed: Renewed) -> Flow {
        if let Err(error) = self.engine.footing.renew(renewed) {
            tracing::warn!(%error, "the host's new key is none");
        }
        Flow::Continue(())
    }

    /// The peer's relay has put it there: for the line in the making, or the peer has made its leg of this one anew.
    fn peer_relayed(&mut self, relayed: PeerRelayed) {
        let addr = relayed.relayed;
        self.engine.inbox.relayed = Some(addr);
        let is_heard = self.making.as_ref().is_some_and(|making| making.hear(SessionEvent::Relayed(relayed)));
        let is_known = self.line_in_use().is_some_and(|line| line.established.peer == addr);
        if !is_heard && !is_known && self.line.way.kind == PathKind::Relay {
            self.line.way.search.move_peer([addr], now());
        }
    }

    /// The callee accepts a direct way; the inviter has to wait until it does.
    pub(super) fn wished(&mut self, wish: Wish) -> Flow {
        match wish {
            Wish::ShowAddress if self.engine.footing.side == Side::Callee && self.engine.show() => {
                self.ask_where();
            }
            Wish::ShowAddress => {}
        }
        Flow::Continue(())
    }

    fn peer_elsewhere(&mut self, elsewhere: &PeerElsewhere) {
        // To the inviter, the callee's word is its leave to be met there.
        if self.engine.footing.side == Side::Inviter && self.engine.show() {
            self.ask_where();
        }
        let exchange = elsewhere.exchange.as_ref();
        let own_is_known = exchange.is_none_or(|exchange| self.engine.whereabouts.is_at(exchange.own));
        if let Some(way) = self.direct() {
            way.search.move_peer(elsewhere.candidates.iter().map(|candidate| candidate.address), now());
            if let Some(exchange) = exchange {
                way.renew(exchange);
            }
        }
        if !own_is_known {
            self.ask_where();
        }
        if let Some(exchange) = exchange {
            self.engine.whereabouts.keep_ticket(exchange.clone());
        }
    }

    /// The host knows where this device is; the other side is told by CDX, too.
    pub(super) fn announced(&mut self, exchange: Option<Exchange>) -> Flow {
        let way = match self.line.way.kind {
            PathKind::Direct => Some(&mut self.line.way),
            PathKind::Relay => self.engine.direct.as_mut(),
        };
        if let (Some(exchange), Some(way)) = (exchange, way) {
            self.engine.whereabouts.tell(exchange, way, &self.engine.footing);
        }
        Flow::Continue(())
    }

    /// Another address is another network: what was found there counts no more.
    pub(super) fn look_at_addresses(&mut self) -> Flow {
        let Some(addresses) = self.direct().map(|way| way.socket.host_addresses()) else {
            return Flow::Continue(());
        };
        if self.engine.whereabouts.have_changed(addresses) {
            self.start_over();
        }
        Flow::Continue(())
    }

    fn start_over(&mut self) {
        if let Some(way) = self.direct() {
            way.search.start_over(now());
        }
        self.ask_where();
    }

    /// Makes a way through the relay, unless one is in the making.
    fn make<T>(&mut self, making: impl FnOnce(&super::Engine, T) -> Making, of: T) {
        if self.making.is_none() {
            self.making = Some(making(self.engine, of));
        }
    }

    /// A way through the relay is there, or none can be made.
    pub(super) fn take_made(&mut self, made: Made) -> Flow {
        self.making = None;
        match made {
            Made::Line(Ok(line)) => Flow::Break(Ended::Moved(line)),
            Made::Leg(Ok(Some(leg))) => {
                self.take_leg(leg);
                Flow::Continue(())
            }
            // The other side's leg may be in the making; the search waits for it, for a bounded time.
            Made::Leg(Ok(None)) => Flow::Continue(()),
            Made::Line(Err(CallFailed::Ended)) | Made::Leg(Err(CallFailed::Ended)) => {
                Flow::Break(Ended::Over)
            }
            Made::Line(Err(_)) | Made::Leg(Err(_)) if self.carries_beside() => {
                self.drop_reserve();
                Flow::Continue(())
            }
            Made::Line(Err(error)) => {
                tracing::info!(%error, "the call cannot move to the relay");
                self.not_moved();
                Flow::Continue(())
            }
            Made::Leg(Err(error)) => {
                tracing::info!(%error, "the call's way through the relay cannot be mended");
                // Other credentials may do, or another relay.
                self.make(|engine, ()| Making::asking(engine), ());
                Flow::Continue(())
            }
        }
    }

    /// The same line from a new address of this side's, under the same keys.
    fn take_leg(&mut self, leg: Leg) {
        let peer = self.engine.inbox.relayed.or_else(|| self.line_in_use().map(|line| line.established.peer));
        self.line.way = leg.way(&self.engine.footing, peer);
        self.line.leg = Some(leg);
    }

    /// Perhaps the host has not heard yet where this device is; when patience is over, the relay is asked for again.
    fn not_moved(&mut self) {
        self.line.way.search.start_over(now());
        self.start_over();
    }
}
