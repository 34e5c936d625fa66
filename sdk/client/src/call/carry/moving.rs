//! What makes a call move: what became known of its ways, and what the host and the other side say.

use core::net::SocketAddr;

use switchhook_protocol::{
    call::PathKind,
    exchange::{Exchange, PeerElsewhere},
    relay::RelayCredentials,
};
use tokio_util::task::TaskTracker;

use super::{Carrying, Ended, Flow};
use crate::{
    call::{
        CallFailed, PathInUse,
        attempt::now,
        way::{News, Way},
    },
    limits,
    path::Pace,
    secure::Kind,
    sessions::SessionEvent,
};

impl Carrying<'_> {
    pub(super) async fn on_line(&mut self, news: News) -> Flow {
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

    pub(super) fn on_beside(&mut self, news: News, tasks: &TaskTracker) -> Flow {
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
        }
    }

    /// The direct way, whichever place it has.
    fn direct(&mut self) -> Option<&mut Way> {
        if self.line.way.kind == PathKind::Direct {
            return Some(&mut self.line.way);
        }
        self.engine.direct.as_mut()
    }

    pub(super) async fn hear(&mut self, event: Option<SessionEvent>) -> Flow {
        let Some(event) = event else { return Flow::Continue(()) };
        match event {
            SessionEvent::Given(given) => {
                let same = self.line.way.kind == PathKind::Relay && now() < self.begun + limits::SAME_WISH;
                if same { Flow::Continue(()) } else { self.move_to(&given.relay).await }
            }
            SessionEvent::Relayed(relayed) => {
                self.engine.relayed = Some(relayed.relayed);
                Flow::Continue(())
            }
            SessionEvent::Elsewhere(elsewhere) => {
                self.peer_elsewhere(&elsewhere);
                Flow::Continue(())
            }
            SessionEvent::Ended => Flow::Break(Ended::Over),
        }
    }

    /// What the other side has said while the relay was asked for.
    pub(super) fn catch_up(&mut self) {
        if let Some(elsewhere) = self.engine.elsewhere.take() {
            self.peer_elsewhere(&elsewhere);
        }
    }

    fn peer_elsewhere(&mut self, elsewhere: &PeerElsewhere) {
        let own_is_known = elsewhere.exchange.as_ref().is_none_or(|exchange| self.engine.is_at(exchange.own));
        let cdx = self.engine.cdx;
        if let Some(way) = self.direct() {
            way.search.move_peer(elsewhere.candidates.iter().map(|candidate| candidate.address), now());
            if let Some(exchange) = &elsewhere.exchange {
                way.renew(exchange);
            }
            if !own_is_known {
                way.gather(cdx);
            }
        }
        if let Some(exchange) = &elsewhere.exchange {
            self.engine.keep_ticket(exchange.clone());
        }
    }

    /// The host knows where this device is; the other side is told by CDX, too.
    pub(super) fn announced(&mut self, exchange: Option<Exchange>) -> Flow {
        let Some(exchange) = exchange else { return Flow::Continue(()) };
        if self.line.way.kind == PathKind::Direct {
            self.engine.tell_by(&mut self.line.way, &exchange);
        } else {
            self.engine.tell(&exchange);
        }
        Flow::Continue(())
    }

    /// Another address is another network: what was found there counts no more.
    pub(super) fn look_at_addresses(&mut self) -> Flow {
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
        // Perhaps the host has not heard yet where this device is.
        let cdx = self.engine.cdx;
        if let Some(way) = self.direct() {
            way.search.start_over(now());
            way.gather(cdx);
        }
        self.catch_up();
        Flow::Continue(())
    }
}
