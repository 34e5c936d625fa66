//! Has a machine ask over several sockets at once, until it is done.

use core::{future::poll_fn, net::SocketAddr, task::Poll};
use std::{io, sync::Arc, time::Instant};

use tokio::{
    io::ReadBuf,
    time::{sleep_until, timeout_at},
};

use super::question::{Arrived, Transmit};
use crate::network::DatagramSocket;

/// Asks CDX over some sockets.
///
/// A machine: after each `handle_*`, take transmits until there are none; done when there is no timeout.
pub(super) trait Asking {
    fn handle_datagram(&mut self, arrived: Arrived<'_>, now: Instant);
    fn handle_timeout(&mut self, now: Instant);
    fn poll_transmit(&mut self) -> Option<Transmit>;
    fn poll_timeout(&self) -> Option<Instant>;
}

/// See the module.
pub(super) async fn ask(asking: &mut impl Asking, sockets: &[Arc<dyn DatagramSocket>]) {
    let mut buffer = vec![0; 2_048];
    asking.handle_timeout(now());
    while let Some(deadline) = asking.poll_timeout() {
        while let Some(Transmit { socket, to, datagram }) = asking.poll_transmit() {
            let sent = sockets.get(socket).map(|socket| socket.send_to(&datagram, to));
            if let Some(Err(error)) = sent {
                // As good as lost: there may be a way at the next try.
                tracing::debug!(%error, "CDX cannot be asked");
            }
        }
        match timeout_at(deadline.into(), receive(sockets, &mut buffer)).await {
            Ok(Ok((socket, length, from))) => {
                let datagram = buffer.get(..length).unwrap_or_default();
                asking.handle_datagram(Arrived { socket, from, datagram }, now());
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "a socket fails");
                sleep_until(deadline.into()).await;
                asking.handle_timeout(now());
            }
            Err(_) => asking.handle_timeout(now()),
        }
    }
}

/// At which socket a datagram came in, its length, and where it came from.
async fn receive(
    sockets: &[Arc<dyn DatagramSocket>],
    buffer: &mut [u8],
) -> io::Result<(usize, usize, SocketAddr)> {
    poll_fn(|cx| {
        for (at, socket) in sockets.iter().enumerate() {
            let mut read = ReadBuf::new(buffer);
            if let Poll::Ready(received) = socket.poll_recv_from(cx, &mut read) {
                let length = read.filled().len();
                return Poll::Ready(received.map(|from| (at, length, from)));
            }
        }
        Poll::Pending
    })
    .await
}

pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
