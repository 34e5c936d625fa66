//! What the host, the other side and the application say to a call that carries.

use switchhook_protocol::{
    call::PathKind,
    event::PeerRelayed,
    exchange::{Exchange, PeerElsewhere},
    session::Renewed,
};

use super::{Carrying, Ended, Flow, making::Making};
use crate::{
    call::{Wish, attempt::now},
    limits,
    secure::Side,
    sessions::SessionEvent,
};

impl Carrying<'_> {
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
}
