//! What comes in at the sockets of a call.

use core::net::SocketAddr;
use std::io;

use super::{Carrying, Ended, Flow};
use crate::{
    call::attempt::now,
    network::{DatagramSocket, is_passing, recv_from},
    secure::{Kind, MAX_SEALED, is_data},
};

/// Which socket a datagram came in at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Via {
    Line,
    Beside,
}

impl Carrying<'_> {
    pub(super) fn received(
        &mut self,
        via: Via,
        received: io::Result<(usize, SocketAddr)>,
        buffer: &[u8],
    ) -> Flow {
        match received {
            Ok((length, from)) => self.take_in(via, from, buffer.get(..length).unwrap_or_default()),
            Err(error) if is_passing(&error) => Flow::Continue(()),
            Err(error) => self.lost(via, &error),
        }
    }

    fn take_in(&mut self, via: Via, from: SocketAddr, datagram: &[u8]) -> Flow {
        if is_data(datagram) {
            return self.deliver(datagram, via);
        }
        match (via, &mut self.engine.direct) {
            (Via::Beside, Some(way)) => way.handle_datagram(from, datagram),
            // A repeat of the handshake among others: the other side has missed our answer.
            (Via::Line, _) | (Via::Beside, None) => {
                self.line.handle_datagram(from, datagram);
                self.line.repeat();
            }
        }
        Flow::Continue(())
    }

    pub(super) fn deliver(&mut self, datagram: &[u8], via: Via) -> Flow {
        let mut out = [0; MAX_SEALED];
        let Some((kind, payload)) = self.in_use.established.transport.open(datagram, &mut out) else {
            return Flow::Continue(());
        };
        self.heard = now();
        if via == Via::Line {
            self.idle_line = self.heard;
        }
        match kind {
            Kind::Application => {
                self.traffic.is_used(self.heard);
                // Full, the newest is lost, as in a network; gone, the application only sends.
                if self.application.datagrams.try_send(payload.to_vec()).is_err() {
                    tracing::trace!("a datagram is lost at the application's queue");
                }
                Flow::Continue(())
            }
            Kind::Alive => Flow::Continue(()),
            Kind::Bye => Flow::Break(Ended::Over),
        }
    }

    /// A socket fails for good: the other one may go on alone.
    fn lost(&mut self, via: Via, error: &io::Error) -> Flow {
        tracing::info!(%error, "a socket of the call fails");
        match via {
            Via::Beside => {
                self.engine.direct = None;
                let line = self.line_in_use();
                self.take(line)
            }
            Via::Line if self.carries_beside() => {
                self.drop_reserve();
                Flow::Continue(())
            }
            Via::Line => Flow::Break(Ended::Over),
        }
    }
}

/// Receives where there is a socket, else never.
pub(super) async fn receive(
    socket: Option<&dyn DatagramSocket>,
    buffer: &mut [u8],
) -> io::Result<(usize, SocketAddr)> {
    match socket {
        Some(socket) => recv_from(socket, buffer).await,
        None => core::future::pending().await,
    }
}
