//! Clients, and the ways by which they come.

use std::{io, net::SocketAddr};

use async_trait::async_trait;
use tokio::net::UdpSocket;

/// How a client reaches the relay. Its peers always have datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Transport {
    /// A message is a datagram.
    Udp,
    /// Messages follow each other in a stream.
    Tcp,
}

/// Who asks: one address may come by both ways, and is two clients then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Client {
    pub(crate) transport: Transport,
    pub(crate) addr: SocketAddr,
}

/// What comes from a client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// A message, in the buffer up to this length.
    Message { length: usize, from: SocketAddr },
    /// The client is gone, and what it held with it.
    Left(SocketAddr),
}

/// All clients that come by one way.
#[async_trait]
pub(crate) trait Clients: Send + Sync + 'static {
    /// Waits for what comes next.
    async fn receive(&self, buffer: &mut [u8]) -> Arrival;

    /// Sends a message, or loses it where there is no room: as datagrams are.
    async fn deliver(&self, message: &[u8], to: SocketAddr);

    /// Where they come to.
    fn address(&self) -> io::Result<SocketAddr>;
}

#[async_trait]
impl Clients for UdpSocket {
    async fn receive(&self, buffer: &mut [u8]) -> Arrival {
        loop {
            match self.recv_from(buffer).await {
                Ok((length, from)) => return Arrival::Message { length, from },
                // What an earlier message met on its way (ICMP); it says nothing about the next.
                Err(_) => tokio::task::yield_now().await,
            }
        }
    }

    async fn deliver(&self, message: &[u8], to: SocketAddr) {
        if let Err(error) = self.send_to(message, to).await {
            tracing::trace!(%error, "send to client");
        }
    }

    fn address(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }
}
