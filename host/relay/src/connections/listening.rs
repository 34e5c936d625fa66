//! A relayed address of TCP: a listener, and sockets that connect from its port.
//!
//! A peer is to see one address, whoever of both connects (RFC 6062 §5.2), so the sockets share a port, which the system
//! allows to those of one user who all say so (`SO_REUSEPORT`). The listener says it when it has the port: it is bound
//! to one that nobody has, and two allocations never get the same.

use std::{io, net::SocketAddr, sync::Arc};

use mio::{
    Interest, Registry, Token,
    net::{TcpListener, TcpStream},
};
use rustix::net::{SocketType, bind, listen as start_listening, sockopt};
use tokio::net::TcpSocket;

use super::{links::Links, pending::Pending};
use crate::{limits, listen::unbound};

/// A relayed address of TCP. Dropped, it ends its connections.
#[derive(Debug)]
pub(crate) struct Listening {
    listener: TcpListener,
    addr: SocketAddr,
    links: Arc<Links>,
    pending: Arc<Pending>,
}

/// Listens at an address that nobody else has.
pub(crate) fn listen(addr: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = unbound(addr, SocketType::STREAM)?;
    // What an earlier allocation had here may still be closing.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &addr)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    start_listening(&socket, limits::PEERS_WAITING)?;
    Ok(socket.into())
}

impl Listening {
    pub(crate) fn new(
        listener: std::net::TcpListener,
        links: Arc<Links>,
        pending: Arc<Pending>,
    ) -> io::Result<Self> {
        let addr = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener: TcpListener::from_std(listener), addr, links, pending })
    }

    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.listener, token, Interest::READABLE)
    }

    pub(crate) fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        registry.deregister(&mut self.listener)
    }

    pub(crate) const fn links(&self) -> &Arc<Links> {
        &self.links
    }

    /// The next peer that waits to be let in.
    pub(crate) fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.listener.accept()
    }

    /// A socket that connects from here.
    pub(crate) fn dialler(&self) -> io::Result<TcpSocket> {
        let socket = if self.addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.set_reuseport(true)?;
        socket.bind(self.addr)?;
        Ok(socket)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.links.ended.cancel();
        self.pending.forget(&self.links);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{bandwidth::Bandwidth, connections::links::tests::links_of};

    #[tokio::test]
    async fn rel_3_connections_leave_from_the_port_that_is_listened_at_and_nobody_else_gets_it() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let addr = listener.local_addr().unwrap();
        let links = links_of("d1", 10, Bandwidth::default());
        let listening = Listening::new(listener, links, Arc::default()).unwrap();
        assert!(listen(addr).is_err(), "another allocation");
        assert!(std::net::TcpListener::bind(addr).is_err(), "another program");

        let peers = [0, 1].map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        for peer in peers {
            let socket = listening.dialler().unwrap();
            let _stream = socket.connect(peer.local_addr().unwrap()).await.unwrap();
            assert_eq!(peer.accept().unwrap().1, addr);
        }
        let _comes = std::net::TcpStream::connect(addr).unwrap();
        while listening.accept().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            tokio::task::yield_now().await;
        }
    }
}
