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
//! reserve, else by asking for it. A line through the relay that answers no more is mended where this side's leg of it
//! is broken. All that is [made](making) beside, while datagrams go on over what there is.

mod hearing;
mod idling;
mod making;
mod moving;
mod receiving;
mod taking;

use core::ops::ControlFlow;
use std::{sync::Arc, time::Instant};

use switchhook_protocol::call::PathKind;
use tokio::{
    sync::mpsc::{Receiver, Sender},
    time::{interval, sleep_until},
};

use self::{
    idling::Traffic,
    making::{Making, made},
    receiving::{Via, receive},
};
use super::{
    Wish,
    attempt::{Attempt, now},
    engine::Engine,
    live::{Live, PathInUse},
    way::Way,
};
use crate::{
    limits,
    network::{DatagramSocket, recv_from},
    path::Pace,
};

/// How carrying ended.
pub(super) enum Ended {
    /// By one side's wish, by the host's word, or by silence.
    Over,
    /// The call goes on over this one.
    Moved(Box<Attempt>),
}

/// What the application gets, and what it wants.
pub(super) struct OfApplication {
    pub(super) datagrams: Sender<Vec<u8>>,
    pub(super) wishes: Receiver<Wish>,
}

type Flow = ControlFlow<Ended>;

/// See the module.
pub(super) struct Carrying<'a> {
    engine: &'a mut Engine,
    line: Attempt,
    in_use: PathInUse,
    live: &'a Live,
    application: &'a mut OfApplication,
    begun: Instant,
    /// When the other side was heard last, over any path.
    heard: Instant,
    traffic: Traffic,
    /// Since when nothing has needed the line, while data goes beside it.
    idle_line: Instant,
    /// A way through the relay that is not there yet.
    making: Option<Making>,
    /// When to look again whether this side's leg is broken, if the path through the relay is not found by then.
    look_again: Option<Instant>,
}

impl<'a> Carrying<'a> {
    /// None if the line is not established.
    pub(super) fn new(
        engine: &'a mut Engine,
        mut line: Attempt,
        live: &'a Live,
        application: &'a mut OfApplication,
    ) -> Option<Self> {
        let in_use = line.path()?;
        if line.way.kind == PathKind::Relay {
            line.way.search.set_pace(Pace::hurried(limits::RELAY_AGAIN));
        }
        live.set(Some(in_use.clone()));
        let begun = now();
        let (heard, idle_line) = (begun, begun);
        let traffic = Traffic::new(live.sent(), begun);
        let (making, look_again) = (None, None);
        Some(Self {
            engine,
            line,
            in_use,
            live,
            application,
            begun,
            heard,
            traffic,
            idle_line,
            making,
            look_again,
        })
    }

    pub(super) async fn run(mut self) -> Ended {
        if let Some(early) = self.line.early.take()
            && let ControlFlow::Break(ended) = self.deliver(&early, Via::Line)
        {
            return ended;
        }
        if let ControlFlow::Break(ended) = self.catch_up() {
            return ended;
        }
        let mut buffers = [vec![0; 2_048], vec![0; 2_048]];
        let [of_line, of_beside] = &mut buffers;
        let mut look = interval(limits::LOOK_AT_ADDRESSES);
        let mut listening = true;
        loop {
            if let ControlFlow::Break(ended) = self.settle() {
                return self.end(ended);
            }
            let (line, beside) = self.sockets();
            let next = self.next_timeout();
            // Whatever is ready has its turn: data never keeps a check or the host's word waiting.
            let flow = tokio::select! {
                received = recv_from(&*line, of_line) => self.received(Via::Line, received, of_line),
                received = receive(beside.as_deref(), of_beside) => self.received(Via::Beside, received, of_beside),
                event = self.engine.inbox.events.recv(), if listening => {
                    listening = event.is_some();
                    event.map_or(Flow::Continue(()), |event| self.hear(event))
                }
                Some(wish) = self.application.wishes.recv() => self.wished(wish),
                made = made(&mut self.making) => self.take_made(made),
                exchange = self.engine.whereabouts.announced() => self.announced(exchange),
                _ = look.tick() => self.look_around(),
                () = sleep_until(next.into()) => self.handle_timeout(),
            };
            if let ControlFlow::Break(ended) = flow {
                return self.end(ended);
            }
        }
    }

    /// A direct path is looked for anew beside the next line, whether it was the line or beside it: the other side does
    /// so too.
    fn end(self, ended: Ended) -> Ended {
        if matches!(ended, Ended::Moved(_)) {
            let beside = self.engine.direct.take();
            self.engine.keep_looking(beside.unwrap_or(self.line.way));
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
        let renewal = self.renewal();
        let silence = self.last_heard() + limits::PATH_SILENCE;
        let (again, alive) = (self.engine.whereabouts.poll_timeout(), Some(self.traffic.next_alive));
        ways.into_iter()
            .chain([reserve, renewal, again, alive, self.look_again])
            .flatten()
            .fold(silence, Instant::min)
    }

    fn handle_timeout(&mut self) -> Flow {
        if self.last_heard() + limits::PATH_SILENCE <= now() {
            tracing::info!("the other side of a call is silent");
            return Flow::Break(Ended::Over);
        }
        self.line.way.handle_timeout();
        if let Some(way) = &mut self.engine.direct {
            way.handle_timeout();
        }
        if self.engine.whereabouts.is_due() {
            self.ask_where();
        }
        if self.carries_beside() && self.idle_line + limits::RESERVE <= now() {
            self.drop_reserve();
        }
        if self.renewal().is_some_and(|at| at <= now()) {
            self.renew_relay();
        }
        if self.look_again.take_if(|at| *at <= now()).is_some() && self.line.way.search.is_searching() {
            self.mend();
        }
        self.say_alive();
        Flow::Continue(())
    }

    /// When the relay is asked for other credentials: a reserve does not last so long.
    fn renewal(&self) -> Option<Instant> {
        self.line.leg.as_ref().filter(|_| !self.carries_beside()).map(|leg| leg.renewal)
    }

    /// Sends what both ways have to send, and acts on what became known.
    fn settle(&mut self) -> Flow {
        while let Some(news) = self.line.way.perform() {
            self.on_line(news)?;
        }
        while let Some(news) = self.engine.direct.as_mut().and_then(Way::perform) {
            self.on_beside(news)?;
        }
        Flow::Continue(())
    }
}
