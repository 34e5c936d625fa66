//! The only way out for datagrams.
//!
//! A call's data, its checks, CDX and TURN all go through a [`Network`], so that an application (or
//! the lab, see [`nat`]) decides how its datagrams leave. [`SystemNetwork`] is the operating
//! system's.
//!
//! Sending never waits: a datagram that the operating system has no room for is lost, as it might be
//! anywhere on its way, and whoever needs it repeats it.

use core::{
    fmt,
    future::poll_fn,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    task::{Context, Poll},
};
use std::{io, sync::Arc};

use tokio::{io::ReadBuf, net::UdpSocket};

pub mod nat;

/// Gives sockets.
pub trait Network: fmt::Debug + Send + Sync {
    /// Opens a socket on a port of its own. To be called inside a Tokio runtime.
    fn bind(&self) -> io::Result<Arc<dyn DatagramSocket>>;
}

/// A socket for datagrams; one task receives, any number send.
pub trait DatagramSocket: fmt::Debug + Send + Sync {
    /// Sends a datagram, or loses it where there is no room.
    fn send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()>;

    /// Receives a datagram. Only the task that polled last is woken.
    fn poll_recv_from(&self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<SocketAddr>>;

    /// Where it is bound, if it may say so.
    fn local_addr(&self) -> Option<SocketAddr>;

    /// The addresses at which its own network reaches it; none if the device offers none.
    fn host_addresses(&self) -> Vec<SocketAddr>;
}

/// Receives one datagram: its length in the buffer, and where it came from.
pub async fn recv_from(socket: &dyn DatagramSocket, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
    poll_fn(|cx| {
        let mut read = ReadBuf::new(buffer);
        match socket.poll_recv_from(cx, &mut read) {
            Poll::Ready(Ok(from)) => Poll::Ready(Ok((read.filled().len(), from))),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// The operating system's network.
#[derive(Debug, Clone, Copy)]
pub struct SystemNetwork {
    bind: IpAddr,
}

impl SystemNetwork {
    /// Binds to this address of the device; to all of them for `0.0.0.0` or `::`.
    pub const fn on(bind: IpAddr) -> Self {
        Self { bind }
    }
}

/// All addresses, IPv4.
impl Default for SystemNetwork {
    fn default() -> Self {
        Self::on(Ipv4Addr::UNSPECIFIED.into())
    }
}

impl Network for SystemNetwork {
    fn bind(&self) -> io::Result<Arc<dyn DatagramSocket>> {
        Ok(Arc::new(SystemSocket::bind(self.bind)?))
    }
}

/// A UDP socket twice: Tokio's waits for datagrams, the other sends without asking Tokio, which at
/// first takes every socket for full.
#[derive(Debug)]
pub(crate) struct SystemSocket {
    receive: UdpSocket,
    send: std::net::UdpSocket,
    local: SocketAddr,
}

impl SystemSocket {
    pub(crate) fn bind(ip: IpAddr) -> io::Result<Self> {
        let send = std::net::UdpSocket::bind(SocketAddr::new(ip, 0))?;
        send.set_nonblocking(true)?;
        let local = send.local_addr()?;
        let receive = UdpSocket::from_std(send.try_clone()?)?;
        Ok(Self { receive, send, local })
    }
}

impl DatagramSocket for SystemSocket {
    fn send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        match self.send.send_to(datagram, to) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    fn poll_recv_from(&self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<SocketAddr>> {
        self.receive.poll_recv_from(cx, buffer)
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        Some(self.local)
    }

    fn host_addresses(&self) -> Vec<SocketAddr> {
        if !self.local.ip().is_unspecified() {
            return vec![self.local];
        }
        route_address(self.local.ip()).map(|ip| SocketAddr::new(ip, self.local.port())).into_iter().collect()
    }
}

/// The device's address on the way to the rest of the world. Connecting a UDP socket asks the
/// routing table and sends nothing.
fn route_address(family: IpAddr) -> Option<IpAddr> {
    let outside: IpAddr = match family {
        // Documentation addresses (RFC 5737, RFC 3849): routed by default, reached by nobody.
        IpAddr::V4(_) => Ipv4Addr::new(192, 0, 2, 1).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
    };
    let socket = std::net::UdpSocket::bind(SocketAddr::new(family, 0)).ok()?;
    socket.connect(SocketAddr::new(outside, 9)).ok()?;
    socket.local_addr().ok().map(|local| local.ip()).filter(|ip| !ip.is_unspecified())
}
