//! How often a call says that it lives (NAT-5).
//!
//! While the application sends or receives, the path is asked every few seconds: where it breaks, somebody waits. Of a call
//! that carries nothing only the NATs must not forget: it asks as seldom as the measured life of their mappings allows. A
//! path through the relay is asked no less than every [`limits::KEEP_ALIVE`]: nobody has measured at the place from where it
//! starts.
//!
//! What the other side can open is said less often still: an answer to a question shows as well that it lives.

use core::{net::SocketAddr, time::Duration};
use std::time::Instant;

use switchhook_protocol::call::PathKind;

use super::Carrying;
use crate::{call::attempt::now, limits, secure::Kind};

/// What the application does with its call.
#[derive(Debug)]
pub(super) struct Traffic {
    /// How many datagrams it had sent when that was looked at last.
    sent: u64,
    /// When it was last seen to send or receive.
    used: Instant,
    /// When the other side is told that this one lives.
    pub(super) next_alive: Instant,
    /// How often it is told so.
    alive_every: Duration,
}

impl Traffic {
    /// A path that was just found is about to be used.
    pub(super) const fn new(sent: u64, now: Instant) -> Self {
        Self { sent, used: now, next_alive: now, alive_every: limits::KEEP_ALIVE }
    }

    /// The application receives, or sends.
    pub(super) const fn is_used(&mut self, now: Instant) {
        self.used = now;
    }

    fn has_sent(&mut self, sent: u64, now: Instant) {
        if core::mem::replace(&mut self.sent, sent) != sent {
            self.is_used(now);
        }
    }

    fn is_idle(&self, now: Instant) -> bool {
        self.used + limits::IDLE <= now
    }
}

impl Carrying<'_> {
    /// Decides how often both ways are asked; `own` are the device's addresses, where there is a direct way.
    pub(super) fn pace_questions(&mut self, own: Option<&[SocketAddr]>) {
        let now = now();
        self.traffic.has_sent(self.live.sent(), now);
        let networks = self.engine.footing.client.networks();
        let [directly, by_relay] = if self.traffic.is_idle(now) {
            [own.map_or(limits::KEEP_ALIVE, |own| networks.pause(own)), networks.pause_anywhere()]
        } else {
            [limits::CONSENT; 2]
        };
        let pause = |kind| if kind == PathKind::Direct { directly } else { by_relay };
        self.traffic.alive_every = pause(self.in_use.kind).max(limits::KEEP_ALIVE);
        self.line.way.search.ask_every(pause(self.line.way.kind), now);
        if let Some(way) = &mut self.engine.direct {
            way.search.ask_every(directly, now);
        }
    }

    /// Tells the other side that this one lives, if it is time.
    pub(super) fn say_alive(&mut self) {
        let now = now();
        if self.traffic.next_alive <= now {
            self.in_use.send(Kind::Alive, &[]);
            self.traffic.next_alive = now + self.traffic.alive_every;
        }
    }

    /// When the other side was heard last, or has answered.
    pub(super) fn last_heard(&self) -> Instant {
        let beside = self.engine.direct.as_ref().and_then(|way| way.search.last_answer());
        [self.line.way.search.last_answer(), beside].into_iter().flatten().fold(self.heard, Instant::max)
    }
}
