//! One port of CDX: receive, answer, send.

use std::{io, net::SocketAddr};

use rand::rngs::StdRng;
use switchhook_core::{
    cdx::{self, Route},
    seal::KeyRing,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{Clock, limits, metrics::Metrics, places::At, rate::RateLimit};

pub(crate) struct Port {
    pub(crate) at: At,
    pub(crate) keys: KeyRing,
    pub(crate) clock: Clock,
    pub(crate) rng: StdRng,
    pub(crate) limit: RateLimit,
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
        let now = Instant::now();
        for _ in 0..limits::BATCH {
            match self.at.here.socket.try_recv_from(datagram) {
                Ok((length, from)) => self.answer(datagram.get(..length).unwrap_or_default(), from, now, out),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // What an earlier answer met on its way (ICMP); it says nothing about the next datagram.
                Err(error) => tracing::trace!(%error, "receive"),
            }
        }
    }

    fn answer(&mut self, datagram: &[u8], from: SocketAddr, now: Instant, out: &mut Vec<u8>) {
        if !self.limit.allows(from.ip(), now) {
            self.metrics.limited.inc();
            return;
        }
        let route = Route { from, to: self.at.here.addr, others: self.at.here.others };
        match cdx::answer(datagram, route, &self.keys, (self.clock)(), &mut self.rng, out) {
            Ok(reply) => {
                self.metrics.answered(reply.answer);
                if self.at.answering(reply.origin).socket.try_send_to(out, from).is_err() {
                    self.metrics.unsent.inc();
                }
            }
            Err(reason) => self.metrics.dropped(reason),
        }
    }
}
