//! Which path data takes, by what became known of both ways.

use core::net::SocketAddr;

use switchhook_protocol::call::PathKind;

use super::{Carrying, Ended, Flow, making::Making};
use crate::{
    call::{
        attempt::now,
        live::PathInUse,
        way::{News, Way},
    },
    limits,
    path::Pace,
    secure::Kind,
};

impl Carrying<'_> {
    pub(super) fn on_line(&mut self, news: News) -> Flow {
        match news {
            // The keys are there already.
            News::Chosen(_) => {}
            News::Selected(peer) => return self.reach(peer),
            News::Gathered(gathered) => self.engine.whereabouts.gathered(gathered, &self.engine.footing),
            News::InDoubt => self.mend(),
            // Nobody misses the reserve.
            News::NeedRelay if self.carries_beside() => self.drop_reserve(),
            // No direct path answers, or none through the relay: it is asked for, and the search goes on.
            News::NeedRelay => self.make(|engine, ()| Making::asking(engine), ()),
        }
        Flow::Continue(())
    }

    /// Looks whether this side is where it was.
    pub(super) fn mend(&mut self) {
        match (self.line.way.kind, self.line.leg.clone()) {
            (PathKind::Relay, Some(leg)) => self.make(Making::mending, leg),
            (PathKind::Relay, None) | (PathKind::Direct, _) => self.ask_where(),
        }
    }

    pub(super) fn on_beside(&mut self, news: News) -> Flow {
        match news {
            News::Chosen(_) => Flow::Continue(()),
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
    pub(super) fn direct(&mut self) -> Option<&mut Way> {
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

    /// Another address is another network: what was found there counts no more.
    pub(super) fn look_around(&mut self) -> Flow {
        let addresses = self.direct().map(|way| way.socket.host_addresses());
        self.pace_questions(addresses.as_deref());
        let Some(addresses) = addresses else { return Flow::Continue(()) };
        if self.engine.whereabouts.have_changed(addresses) {
            self.start_over();
        }
        Flow::Continue(())
    }

    pub(super) fn start_over(&mut self) {
        if let Some(way) = self.direct() {
            way.search.start_over(now());
        }
        self.ask_where();
    }
}
