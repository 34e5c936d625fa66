//! The sockets of allocations: what goes to peers and comes from them.
//!
//! TURN's permissions are by address; here each datagram is also judged by the operator's rules,
//! and addresses that this relay gave out pass by their port, both ways (REL-4).

use std::{
    any::Any,
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    sync::Arc,
};

use async_trait::async_trait;
use rand::RngExt as _;
use switchhook_core::relay_peers::PeerPolicy;
use tokio::net::UdpSocket;
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};
use turn::relay::RelayAddressGenerator;
use webrtc_util::Conn;

use crate::{
    RelayConfig,
    clients::Transport,
    limits,
    metrics::Metrics,
    table::{Lease, Table},
};

/// Which peers datagrams go to and come from.
#[derive(Clone)]
pub(crate) struct PeerFilter {
    policy: Arc<PeerPolicy>,
    table: Arc<Table>,
    inside: IpAddr,
    public: IpAddr,
}

impl PeerFilter {
    pub(crate) fn new(config: &RelayConfig, table: Arc<Table>) -> Self {
        let policy = Arc::new(config.peers.clone());
        Self { policy, table, inside: config.ip, public: config.public_ip() }
    }

    /// Whether a client may have a permission for this address; which of its ports is judged by packet.
    pub(crate) fn may_permit(&self, peer: IpAddr) -> bool {
        peer == self.public || self.policy.judge(peer).is_ok()
    }

    /// Where a datagram to this peer goes, if it may.
    fn towards(&self, peer: SocketAddr) -> Option<SocketAddr> {
        if peer.ip() == self.public && self.table.has_port(peer.port()) {
            return Some(SocketAddr::new(self.inside, peer.port()));
        }
        self.policy.judge(peer.ip()).is_ok().then_some(peer)
    }

    /// Whom a datagram from this address is from, if it may come in.
    fn from(&self, source: SocketAddr) -> Option<SocketAddr> {
        if source.ip() == self.inside && self.table.has_port(source.port()) {
            return Some(SocketAddr::new(self.public, source.port()));
        }
        self.policy.judge(source.ip()).is_ok().then_some(source)
    }
}

/// Makes the sockets of allocations.
pub(crate) struct RelayedSockets {
    /// How the clients came who get them.
    transport: Transport,
    ports: Option<RangeInclusive<u16>>,
    filter: PeerFilter,
    metrics: Metrics,
    tracker: TaskTracker,
}

impl RelayedSockets {
    pub(crate) fn new(
        config: &RelayConfig,
        transport: Transport,
        filter: PeerFilter,
        metrics: Metrics,
        tracker: TaskTracker,
    ) -> Self {
        Self { transport, ports: config.relayed_ports.clone(), filter, metrics, tracker }
    }

    async fn bind(&self, even: bool) -> Result<UdpSocket, turn::Error> {
        for _ in 0..limits::RELAYED_PORT_TRIES {
            // A port that others cannot guess (RFC 6056); 0 leaves the choice to the system.
            let port = self.ports.clone().map_or(0, |ports| rand::rng().random_range(ports));
            let Ok(socket) = UdpSocket::bind((self.filter.inside, port)).await else { continue };
            if !even || socket.local_addr()?.port().is_multiple_of(2) {
                return Ok(socket);
            }
        }
        Err(turn::Error::ErrMaxRetriesExceeded)
    }
}

#[async_trait]
impl RelayAddressGenerator for RelayedSockets {
    fn validate(&self) -> Result<(), turn::Error> {
        Ok(())
    }

    async fn allocate_conn(
        &self,
        _use_ipv4: bool,
        _requested_port: u16,
    ) -> Result<(Arc<dyn Conn + Send + Sync>, SocketAddr), turn::Error> {
        let claim = self.filter.table.take_claim(self.transport).ok_or(turn::Error::ErrNoAllocationFound)?;
        let socket = self.bind(claim.even_port).await?;
        let port = socket.local_addr()?.port();
        let lease = self.filter.table.lease(claim, port);
        let socket = RelayedSocket {
            socket,
            filter: self.filter.clone(),
            metrics: self.metrics.clone(),
            lease,
            _until_closed: self.tracker.token(),
        };
        Ok((Arc::new(socket), SocketAddr::new(self.filter.public, port)))
    }
}

/// The socket of one allocation.
///
/// The crate ends an allocation whose socket fails, and logs each error. What fails here is one
/// datagram (no route, an ICMP error): it is lost, as datagrams are.
struct RelayedSocket {
    socket: UdpSocket,
    filter: PeerFilter,
    metrics: Metrics,
    lease: Lease,
    _until_closed: TaskTrackerToken,
}

#[async_trait]
impl Conn for RelayedSocket {
    async fn recv_from(&self, buf: &mut [u8]) -> Result<(usize, SocketAddr), webrtc_util::Error> {
        loop {
            let Ok((length, source)) = self.socket.recv_from(buf).await else {
                tokio::task::yield_now().await;
                continue;
            };
            let Some(peer) = self.filter.from(source) else {
                self.metrics.refused_peer_packets.inc();
                continue;
            };
            self.metrics.received_from_peer(length);
            return Ok((length, peer));
        }
    }

    async fn send_to(&self, buf: &[u8], target: SocketAddr) -> Result<usize, webrtc_util::Error> {
        let Some(target) = self.filter.towards(target) else {
            self.metrics.refused_peer_packets.inc();
            return Ok(buf.len());
        };
        match self.socket.send_to(buf, target).await {
            Ok(_) => self.metrics.sent_to_peer(buf.len()),
            Err(error) => tracing::trace!(%error, "send to peer"),
        }
        Ok(buf.len())
    }

    fn local_addr(&self) -> Result<SocketAddr, webrtc_util::Error> {
        Ok(self.socket.local_addr()?)
    }

    /// The crate is done with the allocation before it is done with the socket.
    async fn close(&self) -> Result<(), webrtc_util::Error> {
        self.lease.release();
        Ok(())
    }

    async fn connect(&self, _: SocketAddr) -> Result<(), webrtc_util::Error> {
        Err(unconnected())
    }

    async fn recv(&self, _: &mut [u8]) -> Result<usize, webrtc_util::Error> {
        Err(unconnected())
    }

    async fn send(&self, _: &[u8]) -> Result<usize, webrtc_util::Error> {
        Err(unconnected())
    }

    fn remote_addr(&self) -> Option<SocketAddr> {
        None
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }
}

/// The relay's sockets have no one other side.
pub(crate) fn unconnected() -> webrtc_util::Error {
    std::io::Error::from(std::io::ErrorKind::Unsupported).into()
}
