//! One port of CDX: receive, answer, send.

use std::{io, net::SocketAddr};

use rand::rngs::StdRng;
use switchhook_core::{
    cdx::{self, Route},
    seal::KeyRing,
};
use tokio::{net::UdpSocket, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{Clock, metrics::Metrics, rate::RateLimit};

/// Datagrams that are answered before the task looks up again: whether to stop, and whose turn it is.
const BATCH: usize = 64;

/// Larger datagrams are cut, and so malformed.
const LARGEST: usize = 1500;

pub(crate) struct Port {
    pub(crate) socket: UdpSocket,
    /// Where clients reach it; it stands in the observations.
    pub(crate) addr: SocketAddr,
    pub(crate) keys: KeyRing,
    pub(crate) clock: Clock,
    pub(crate) rng: StdRng,
    pub(crate) limit: RateLimit,
    pub(crate) metrics: Metrics,
}

impl Port {
    pub(crate) async fn serve(mut self, stop: CancellationToken) {
        let mut datagram = [0; LARGEST];
        let mut out = Vec::with_capacity(LARGEST);
        loop {
            tokio::select! {
                biased; // in this order:
                () = stop.cancelled() => return, // leave when asked
                readable = self.socket.readable() => if let Err(error) = readable {
                    tracing::error!(cdx.addr = %self.addr, %error, "CDX port is lost");
                    return;
                }
            }
            self.answer_batch(&mut datagram, &mut out);
        }
    }

    fn answer_batch(&mut self, datagram: &mut [u8], out: &mut Vec<u8>) {
        let now = Instant::now();
        for _ in 0..BATCH {
            match self.socket.try_recv_from(datagram) {
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
        let route = Route { from, to: self.addr };
        match cdx::answer(datagram, route, &self.keys, (self.clock)(), &mut self.rng, out) {
            Ok(answer) => {
                self.metrics.answered(answer);
                if self.socket.try_send_to(out, from).is_err() {
                    self.metrics.unsent.inc();
                }
            }
            Err(reason) => self.metrics.dropped(reason),
        }
    }
}
