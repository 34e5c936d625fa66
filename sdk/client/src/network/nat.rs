//! A symmetric NAT in user space, for the lab.
//!
//! Mapping and filtering are address-and-port-dependent (RFC 4787 §4.1 and §5): there is one real UDP
//! socket for each destination, so each destination sees another port, and a datagram comes in only
//! from the very address that the socket's mapping was made for. The client behind it has no other
//! way out and offers no address of its own. Two clients behind such NATs do not meet without a relay.

use core::{
    net::{IpAddr, SocketAddr},
    task::{Context, Poll},
};
use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::ReadBuf,
    sync::mpsc::{Receiver, Sender, channel},
};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::{Connecting, DatagramSocket, Network, SystemNetwork, SystemSocket, recv_from};
use crate::limits;

/// A symmetric NAT; its sockets' mappings are all different.
#[derive(Debug, Clone)]
pub struct SymmetricNat {
    outside: IpAddr,
    tasks: TaskTracker,
}

impl SymmetricNat {
    /// A NAT with this outer address.
    pub fn new(outside: IpAddr) -> Self {
        Self { outside, tasks: TaskTracker::new() }
    }
}

impl Network for SymmetricNat {
    fn bind(&self) -> io::Result<Arc<dyn DatagramSocket>> {
        let (sender, received) = channel(limits::DATAGRAMS);
        let mappings = Mutex::default();
        Ok(Arc::new(NatSocket { nat: self.clone(), mappings, sender, received: Mutex::new(received) }))
    }

    /// A stream keeps its mapping as long as it lasts, and has one destination: no NAT makes a difference to it.
    fn connect(&self, to: SocketAddr) -> Connecting {
        SystemNetwork::on(self.outside).connect(to)
    }
}

/// One inner socket with its mappings.
#[derive(Debug)]
struct NatSocket {
    nat: SymmetricNat,
    mappings: Mutex<HashMap<SocketAddr, Mapping>>,
    sender: Sender<(Vec<u8>, SocketAddr)>,
    received: Mutex<Receiver<(Vec<u8>, SocketAddr)>>,
}

#[derive(Debug)]
struct Mapping {
    socket: Arc<SystemSocket>,
    _inbound: AbortOnDropHandle<()>,
}

impl NatSocket {
    fn map(&self, to: SocketAddr) -> io::Result<Mapping> {
        let socket = Arc::new(SystemSocket::bind(self.nat.outside)?);
        let inbound = let_in(Arc::clone(&socket), to, self.sender.clone());
        let inbound = AbortOnDropHandle::new(self.nat.tasks.spawn(inbound));
        Ok(Mapping { socket, _inbound: inbound })
    }
}

/// Hands in what comes from the mapping's destination, and drops the rest.
async fn let_in(socket: Arc<SystemSocket>, only: SocketAddr, sender: Sender<(Vec<u8>, SocketAddr)>) {
    let mut buffer = vec![0; 2_048];
    while let Ok((length, from)) = recv_from(&*socket, &mut buffer).await {
        let datagram = buffer.get(..length).unwrap_or_default();
        // Full, the newest is lost, as at any router.
        if from == only && sender.try_send((datagram.to_vec(), from)).is_err() && sender.is_closed() {
            return;
        }
    }
}

impl DatagramSocket for NatSocket {
    fn send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        let mut mappings = self.mappings.lock().unwrap_or_else(PoisonError::into_inner);
        if !mappings.contains_key(&to) && mappings.len() >= limits::NAT_MAPPINGS {
            return Err(io::Error::other("the NAT has no mapping left"));
        }
        let socket = match mappings.get(&to) {
            Some(mapping) => Arc::clone(&mapping.socket),
            None => Arc::clone(&mappings.entry(to).or_insert(self.map(to)?).socket),
        };
        drop(mappings);
        socket.send_to(datagram, to)
    }

    fn poll_recv_from(&self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<SocketAddr>> {
        let mut received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        match received.poll_recv(cx) {
            Poll::Ready(Some((datagram, from))) => {
                let fits = datagram.get(..buffer.remaining()).unwrap_or(&datagram);
                buffer.put_slice(fits);
                Poll::Ready(Ok(from))
            }
            Poll::Ready(None) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            Poll::Pending => Poll::Pending,
        }
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        None
    }

    fn host_addresses(&self) -> Vec<SocketAddr> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::*;
    use crate::network::testing::received;

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[tokio::test]
    async fn each_destination_sees_another_port_and_nobody_else_gets_in() {
        let outside = SystemNetwork::on(LOOPBACK);
        let (first, second) = (outside.bind().unwrap(), outside.bind().unwrap());
        let (first_addr, second_addr) = (first.local_addr().unwrap(), second.local_addr().unwrap());
        let inside = SymmetricNat::new(LOOPBACK).bind().unwrap();

        inside.send_to(b"one", first_addr).unwrap();
        inside.send_to(b"two", second_addr).unwrap();
        let (_, mapped_first) = received(&*first).await;
        let (_, mapped_second) = received(&*second).await;
        assert_ne!(mapped_first, mapped_second);

        // The stranger's datagram is on its way before the good one, so it would be received first.
        second.send_to(b"stranger", mapped_first).unwrap();
        first.send_to(b"answer", mapped_first).unwrap();
        assert_eq!(received(&*inside).await, (b"answer".to_vec(), first_addr));
        assert_eq!((inside.local_addr(), inside.host_addresses()), (None, Vec::new()));
    }

    #[tokio::test]
    async fn mappings_are_bounded() {
        let inside = SymmetricNat::new(LOOPBACK).bind().unwrap();
        let ports = (20_000..).take(limits::NAT_MAPPINGS);
        for port in ports {
            inside.send_to(b"x", SocketAddr::new(LOOPBACK, port)).unwrap();
        }
        assert!(inside.send_to(b"x", SocketAddr::new(LOOPBACK, 9)).is_err());
    }
}
