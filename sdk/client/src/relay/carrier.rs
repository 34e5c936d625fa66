//! What carries messages between a client and its relay: datagrams, TCP, or TLS.

use core::{
    net::SocketAddr,
    task::{Context, Poll},
};
use std::{io, sync::Arc, time::Instant};

use tokio::io::ReadBuf;

use super::stream::Messages;
use crate::network::{DatagramSocket, is_passing};

/// See the module.
pub(super) enum Carrier {
    /// The client's own way out, of which the relay alone is heard.
    Datagrams { socket: Arc<dyn DatagramSocket>, relay: SocketAddr },
    /// Messages one after the other.
    Stream(Messages),
    /// It is broken.
    Gone,
}

impl Carrier {
    /// Whether what is lost is to be repeated.
    pub(super) const fn loses(&self) -> bool {
        matches!(self, Self::Datagrams { .. })
    }

    /// Sends a message, or loses it where there is no room.
    pub(super) fn send(&mut self, message: &[u8], cx: &mut Context<'_>) -> io::Result<()> {
        match self {
            Self::Datagrams { socket, relay } => socket.send_to(message, *relay),
            Self::Stream(messages) => messages.send(message, cx),
            Self::Gone => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Receives a message: its length in the buffer.
    pub(super) fn poll_recv(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Datagrams { socket, relay } => loop {
                let mut read = ReadBuf::new(buffer);
                match socket.poll_recv_from(cx, &mut read) {
                    Poll::Ready(Ok(from)) if from == *relay => return Poll::Ready(Ok(read.filled().len())),
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(error)) if is_passing(&error) => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => return Poll::Pending,
                }
            },
            Self::Stream(messages) => messages.poll_recv(cx, buffer),
            Self::Gone => Poll::Pending,
        }
    }

    /// Writes out what has had no room before; ready when nothing is left.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<io::Result<()>> {
        match self {
            Self::Stream(messages) => messages.poll_flush(cx, now),
            Self::Datagrams { .. } | Self::Gone => Poll::Ready(Ok(())),
        }
    }

    /// When what is to be written counts as stuck.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Stream(messages) => messages.poll_timeout(),
            Self::Datagrams { .. } | Self::Gone => None,
        }
    }
}
