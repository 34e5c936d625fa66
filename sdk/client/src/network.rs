//! The only way out for a call.
//!
//! Its data, its checks, CDX and TURN, also where that goes over TCP, all go through a [`Network`], so that an
//! application (or the lab, see [`nat`]) decides how they leave. [`SystemNetwork`] is the operating system's.
//!
//! Sending never waits: a datagram that the operating system has no room for is lost, as it might be
//! anywhere on its way, and whoever needs it repeats it.

use core::{
    fmt,
    future::{Future, poll_fn},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    task::{Context, Poll},
};
use std::{io, sync::Arc};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    io::ReadBuf,
    net::{TcpSocket, TcpStream, UdpSocket},
};

pub mod nat;

/// Gives sockets.
pub trait Network: fmt::Debug + Send + Sync {
    /// Opens a socket on a port of its own. To be called inside a Tokio runtime.
    fn bind(&self) -> io::Result<Arc<dyn DatagramSocket>>;

    /// Connects by TCP, for a relay where no datagram gets out. The socket is made at once, the connection when this is
    /// awaited; who calls sets the deadline.
    fn connect(&self, to: SocketAddr) -> Connecting;
}

/// A connection that is under way.
pub type Connecting = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

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

/// Windows reports here that an earlier datagram found nobody; the next may.
pub(crate) fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused)
}

/// The operating system's network.
#[derive(Debug, Clone, Copy)]
pub struct SystemNetwork {
    bind: Option<IpAddr>,
}

impl SystemNetwork {
    /// Binds to this address of the device; to all of its family for `0.0.0.0` or `::`.
    pub const fn on(bind: IpAddr) -> Self {
        Self { bind: Some(bind) }
    }
}

/// All addresses, IPv4 and IPv6; IPv4 alone where the system has no other.
impl Default for SystemNetwork {
    fn default() -> Self {
        Self { bind: None }
    }
}

impl Network for SystemNetwork {
    fn bind(&self) -> io::Result<Arc<dyn DatagramSocket>> {
        let socket = match self.bind {
            Some(ip) => SystemSocket::bind(ip),
            None => SystemSocket::bind_both().or_else(|_| SystemSocket::bind(Ipv4Addr::UNSPECIFIED.into())),
        };
        Ok(Arc::new(socket?))
    }

    fn connect(&self, to: SocketAddr) -> Connecting {
        let socket = tcp_socket(self.bind, to);
        Box::pin(async move { socket?.connect(to).await })
    }
}

/// A socket on this address of the device, if one is named, for a way to that one.
fn tcp_socket(bind: Option<IpAddr>, to: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(ip) = bind {
        if ip.is_ipv4() != to.is_ipv4() {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        }
        socket.bind(SocketAddr::new(ip, 0))?;
    }
    Ok(socket)
}

/// A UDP socket twice: Tokio's waits for datagrams, the other sends without asking Tokio, which at
/// first takes every socket for full.
#[derive(Debug)]
pub(crate) struct SystemSocket {
    receive: UdpSocket,
    send: std::net::UdpSocket,
    local: SocketAddr,
    /// It speaks IPv4 too, in mapped addresses (RFC 4038 §4.2).
    both: bool,
}

impl SystemSocket {
    pub(crate) fn bind(ip: IpAddr) -> io::Result<Self> {
        Self::over(std::net::UdpSocket::bind(SocketAddr::new(ip, 0))?, false)
    }

    /// One socket for both families, so that both have one port and one task.
    fn bind_both() -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_only_v6(false)?;
        socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)).into())?;
        Self::over(socket.into(), true)
    }

    fn over(send: std::net::UdpSocket, both: bool) -> io::Result<Self> {
        send.set_nonblocking(true)?;
        let local = send.local_addr()?;
        let receive = UdpSocket::from_std(send.try_clone()?)?;
        Ok(Self { receive, send, local, both })
    }
}

impl DatagramSocket for SystemSocket {
    fn send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        let to = match to {
            SocketAddr::V4(v4) if self.both => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
            one @ (SocketAddr::V4(_) | SocketAddr::V6(_)) => one,
        };
        match self.send.send_to(datagram, to) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    fn poll_recv_from(&self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<SocketAddr>> {
        let received = self.receive.poll_recv_from(cx, buffer);
        received.map_ok(|from| SocketAddr::new(from.ip().to_canonical(), from.port()))
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        Some(self.local)
    }

    fn host_addresses(&self) -> Vec<SocketAddr> {
        if !self.local.ip().is_unspecified() {
            return vec![self.local];
        }
        let ipv4: Option<IpAddr> = self.both.then_some(Ipv4Addr::UNSPECIFIED.into());
        // IPv6 first (RFC 8421 §4): behind it there is seldom a NAT.
        let families = [Some(self.local.ip()), ipv4].into_iter().flatten();
        families.filter_map(route_address).map(|ip| SocketAddr::new(ip, self.local.port())).collect()
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

#[cfg(test)]
pub(crate) mod testing {
    use core::net::SocketAddr;

    use super::{DatagramSocket, recv_from};
    use crate::limits;

    /// The next datagram, and where it came from.
    pub(crate) async fn received(socket: &dyn DatagramSocket) -> (Vec<u8>, SocketAddr) {
        let mut buffer = [0; 64];
        let waited = tokio::time::timeout(limits::RELAY, recv_from(socket, &mut buffer));
        let (length, from) = waited.await.unwrap().unwrap();
        (buffer[..length].to_vec(), from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;

    #[tokio::test]
    async fn one_socket_speaks_both_families_and_names_addresses_as_they_are() {
        let Ok(both) = SystemSocket::bind_both() else {
            // A system without IPv6: the default is IPv4 there.
            assert!(SystemNetwork::default().bind().unwrap().local_addr().is_some_and(|addr| addr.is_ipv4()));
            return;
        };
        let port = both.local_addr().unwrap().port();
        for ip in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
            let Ok(one) = SystemSocket::bind(ip) else { continue };
            let there = one.local_addr().unwrap();
            one.send_to(b"ask", SocketAddr::new(ip, port)).unwrap();
            let mut buffer = [0; 8];
            let heard = tokio::time::timeout(limits::RELAY, recv_from(&both, &mut buffer)).await;
            assert_eq!(heard.unwrap().unwrap(), (3, there));
            both.send_to(b"answer", there).unwrap();
            let heard = tokio::time::timeout(limits::RELAY, recv_from(&one, &mut buffer)).await;
            assert_eq!(heard.unwrap().unwrap(), (6, SocketAddr::new(ip, port)));
        }
    }
}
