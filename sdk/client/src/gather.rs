//! Who this device is on the network: what CDX sees of a socket (NAT-1).
//!
//! Both ports of CDX are asked through the very socket that will carry the data, so that they see the
//! mapping that the peer will meet; where CDX has addresses of both families, all four are. Who has a key of its
//! connection asks in [secret]; others as standard STUN. Requests repeat with doubling pauses (RFC 8489 §6.2.1),
//! within a bound; without an answer the connection data says less, and the host decides on less. A family that does
//! not answer is not waited for long when the other one has.

mod gathering;
mod next_ports;
mod secret;

use core::net::SocketAddr;
use std::time::Instant;

use rand::{SeedableRng as _, rngs::StdRng};
use switchhook_protocol::{
    connection_data::ConnectionData,
    server::{CdxAddresses, CdxKey, Welcome},
};
use tokio::time::{sleep_until, timeout_at};

pub(crate) use self::gathering::Gathering;
use self::secret::Secret;
use crate::network::{DatagramSocket, recv_from};

/// Asks CDX what it sees of this socket, as standard STUN, and adds the device's own addresses.
pub async fn gather(socket: &dyn DatagramSocket, cdx: CdxAddresses) -> ConnectionData {
    look(socket, &Observer { cdx, secret: None }).await.connection_data
}

/// CDX, and how it is asked.
#[derive(Clone)]
pub(crate) struct Observer {
    cdx: CdxAddresses,
    secret: Option<Secret>,
}

/// What was found out about a socket.
#[derive(Debug, Clone)]
pub(crate) struct Gathered {
    /// For the host.
    pub(crate) connection_data: ConnectionData,
    /// Where the peer may reach it, the best first: for the peer.
    pub(crate) candidates: Vec<SocketAddr>,
    /// Where it will be seen next, if its NAT gives out one port after the other: for the peer, where the verdict says so.
    pub(crate) next_ports: Vec<SocketAddr>,
}

impl Observer {
    /// As the host says.
    pub(crate) fn of(welcome: &Welcome) -> Self {
        Self::under(welcome.cdx, welcome.cdx_key.as_ref(), now())
    }

    /// CDX there, asked under this key if there is one.
    pub(crate) fn under(cdx: CdxAddresses, key: Option<&CdxKey>, now: Instant) -> Self {
        Self { cdx, secret: key.and_then(|key| Secret::new(key, now)) }
    }
}

impl core::fmt::Debug for Observer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Observer").field("cdx", &self.cdx).finish_non_exhaustive()
    }
}

/// Asks CDX, and adds what only the peer is told.
pub(crate) async fn look(socket: &dyn DatagramSocket, observer: &Observer) -> Gathered {
    let mut gathering = Gathering::new(observer, now(), StdRng::from_rng(&mut rand::rng()));
    let mut buffer = vec![0; 2_048];
    while let Some(deadline) = gathering.poll_timeout() {
        while let Some((to, request)) = gathering.poll_transmit() {
            if let Err(error) = socket.send_to(&request, to) {
                tracing::debug!(%error, "CDX cannot be asked");
                gathering.cannot_ask(to);
            }
        }
        match timeout_at(deadline.into(), recv_from(socket, &mut buffer)).await {
            Ok(Ok((length, from))) => {
                gathering.handle_datagram(from, buffer.get(..length).unwrap_or_default(), now());
            }
            // A socket that fails to receive may yet recover before the next request.
            Ok(Err(error)) => {
                tracing::debug!(%error, "the socket fails");
                sleep_until(deadline.into()).await;
            }
            Err(_) => gathering.handle_timeout(now()),
        }
    }
    gathering.gathered(socket.host_addresses())
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
