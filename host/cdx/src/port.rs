//! One port of CDX: receive, answer or hand on, send.

use std::{hash::RandomState, io, net::SocketAddr, time::Duration};

use rand::rngs::StdRng;
use switchhook_core::{
    cdx::{
        self, Route, exchange,
        own::{self, Repeats},
    },
    rate::Buckets,
    seal::KeyRing,
    subscriber::Subscriber,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{Clock, limits, metrics::Metrics, places::At};

pub(crate) struct Port {
    pub(crate) at: At,
    pub(crate) keys: KeyRing,
    pub(crate) clock: Clock,
    pub(crate) rng: StdRng,
    pub(crate) limit: Buckets<RandomState>,
    /// What participants of sessions have told each other.
    pub(crate) told: Buckets<RandomState>,
    pub(crate) started: Instant,
    /// What clients have asked in secret.
    pub(crate) asked: Buckets<RandomState>,
    pub(crate) repeats: Repeats<RandomState>,
    pub(crate) metrics: Metrics,
}

impl Port {
    pub(crate) async fn serve(mut self, stop: CancellationToken) {
        let mut datagram = [0; limits::LARGEST];
        let mut out = Vec::with_capacity(limits::LARGEST);
        loop {
            tokio::select! {
                biased; // in this order:
                () = stop.cancelled() => return, // leave when asked
                readable = self.at.here.socket.readable() => if let Err(error) = readable {
                    tracing::error!(cdx.addr = %self.at.here.addr, %error, "CDX port is lost");
                    return;
                }
            }
            self.answer_batch(&mut datagram, &mut out);
        }
    }

    fn answer_batch(&mut self, datagram: &mut [u8], out: &mut Vec<u8>) {
        let now = self.started.elapsed();
        for _ in 0..limits::BATCH {
            match self.at.here.socket.try_recv_from(datagram) {
                Ok((length, from)) => self.answer(datagram.get(..length).unwrap_or_default(), from, now, out),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // What an earlier answer met on its way (ICMP); it says nothing about the next datagram.
                Err(error) => tracing::trace!(%error, "receive"),
            }
        }
    }

    fn answer(&mut self, datagram: &[u8], from: SocketAddr, now: Duration, out: &mut Vec<u8>) {
        if !self.limit.take(Subscriber::from(from.ip()), now) {
            self.metrics.limited.inc();
            return;
        }
        let route = Route { from, to: self.at.here.addr, others: self.at.here.others };
        if exchange::is_exchange(datagram) {
            return self.hand_on(datagram, route, now, out);
        }
        if own::is_question(datagram) {
            return self.answer_in_secret(datagram, route, now, out);
        }
        match cdx::answer(datagram, route, &self.keys, (self.clock)(), &mut self.rng, out) {
            Ok(reply) => {
                self.metrics.answered(reply.answer);
                if self.at.answering(reply.origin).socket.try_send_to(out, reply.to).is_err() {
                    self.metrics.unsent.inc();
                }
            }
            Err(reason) => self.metrics.dropped(reason),
        }
    }

    fn answer_in_secret(&mut self, datagram: &[u8], route: Route, now: Duration, out: &mut Vec<u8>) {
        let time = (self.clock)();
        let heard = match own::hear(datagram, &self.keys, time) {
            Ok(heard) => heard,
            Err(reason) => return self.metrics.not_answered(reason),
        };
        if !self.repeats.is_new(heard.nonce()) || !self.asked.take(heard.device(), now) {
            self.metrics.question_repeated.inc();
            return;
        }
        if let Err(reason) = heard.answer(route, (&self.keys, time), &mut self.rng, out) {
            return self.metrics.not_answered(reason);
        }
        let sent = self.at.here.socket.try_send_to(out, route.from);
        if sent.is_ok() { &self.metrics.secret } else { &self.metrics.unsent }.inc();
    }

    /// Each of the others costs its sender a share of its rate, so that a session of many is no loudspeaker.
    fn hand_on(&self, datagram: &[u8], route: Route, now: Duration, out: &mut Vec<u8>) {
        let handed = match exchange::hand_on(datagram, route, &self.keys, (self.clock)()) {
            Ok(handed) => handed,
            Err(reason) => return self.metrics.not_handed(reason),
        };
        handed.write(out);
        for other in handed.others() {
            if !self.told.take(handed.holder(), now) {
                self.metrics.repeated.inc();
                return;
            }
            match self.at.here.socket.try_send_to(out, other) {
                Ok(_) => self.metrics.handed_on.inc(),
                Err(_) => self.metrics.unsent.inc(),
            };
        }
    }
}
