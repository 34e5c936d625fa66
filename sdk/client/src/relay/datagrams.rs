//! TURN in datagrams: over the client's own way out.

use core::{any::Any, net::SocketAddr};
use std::{io, sync::Arc};

use async_trait::async_trait;
use webrtc_util::Conn;

use super::{any_of, is_for_client};
use crate::network::{DatagramSocket, recv_from};

/// The client's way out, as the crate `turn` wants it: it hears the relay host alone, and no
/// datagram that would stop it.
#[derive(Debug)]
pub(super) struct Datagrams {
    pub(super) socket: Arc<dyn DatagramSocket>,
    pub(super) server: SocketAddr,
}

impl Datagrams {
    fn is_welcome(&self, datagram: &[u8], from: SocketAddr) -> bool {
        from == self.server && is_for_client(datagram)
    }
}

#[async_trait]
impl Conn for Datagrams {
    async fn connect(&self, _: SocketAddr) -> webrtc_util::Result<()> {
        Err(unsupported())
    }

    async fn recv(&self, _: &mut [u8]) -> webrtc_util::Result<usize> {
        Err(unsupported())
    }

    async fn recv_from(&self, buffer: &mut [u8]) -> webrtc_util::Result<(usize, SocketAddr)> {
        loop {
            let (length, from) = recv_from(&*self.socket, buffer).await?;
            if self.is_welcome(buffer.get(..length).unwrap_or_default(), from) {
                return Ok((length, from));
            }
        }
    }

    async fn send(&self, _: &[u8]) -> webrtc_util::Result<usize> {
        Err(unsupported())
    }

    async fn send_to(&self, datagram: &[u8], to: SocketAddr) -> webrtc_util::Result<usize> {
        self.socket.send_to(datagram, to)?;
        Ok(datagram.len())
    }

    fn local_addr(&self) -> webrtc_util::Result<SocketAddr> {
        // Asked for its family alone: behind a NAT there may be nothing to tell.
        Ok(self.socket.local_addr().unwrap_or_else(|| any_of(self.server)))
    }

    fn remote_addr(&self) -> Option<SocketAddr> {
        None
    }

    async fn close(&self) -> webrtc_util::Result<()> {
        Ok(())
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }
}

/// What a TURN client asks of no socket.
pub(super) fn unsupported() -> webrtc_util::Error {
    io::Error::from(io::ErrorKind::Unsupported).into()
}
