//! UDP sockets that take and give many datagrams in one system call.
//!
//! Receiving takes what stands in the queue, up to a batch, and lets the kernel merge a flow's
//! datagrams of one size (GRO); sending gives such a group back whole (GSO). `quinn-udp` makes the calls.
//!
//! To know what the system can, `quinn-udp` opens sockets to try it on. That costs more than all the rest of an
//! allocation (the first and the last IPv6 socket that merges even have the kernel change its code, for which all
//! cores stand still): so the sockets of the TURN port ask, and those of allocations go by their answer.

use std::{
    cell::Cell,
    io::{self, IoSliceMut},
    net::SocketAddr,
    sync::Arc,
};

use mio::{Interest, Registry, Token, net::UdpSocket};
use nix::{
    errno::Errno,
    sys::socket::{setsockopt, sockopt},
};
use quinn_udp::{BATCH_SIZE, EcnCodepoint, RecvMeta, Transmit, UdpSocketState};
use rustix::net::sockopt::{
    Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ip_recvtos, set_ipv6_mtu_discover,
    set_ipv6_recvtclass,
};

use crate::limits;

/// A UDP socket.
#[derive(Debug)]
pub(crate) struct Datagrams {
    socket: UdpSocket,
    /// Of `quinn-udp`: what the system can, for all sockets of a door.
    state: Arc<UdpSocketState>,
    addr: SocketAddr,
    /// How many datagrams go in one call at most. What `quinn-udp` notes also falls for a path that is too narrow.
    segments: Cell<usize>,
}

impl Datagrams {
    /// A socket of the TURN port: finds out what the system can.
    pub(crate) fn door(socket: std::net::UdpSocket) -> io::Result<Self> {
        let state = Arc::new(UdpSocketState::new((&socket).into())?);
        if socket.local_addr()?.is_ipv4() {
            // Each socket has one address: nobody asks to which a datagram came.
            setsockopt(&socket, sockopt::Ipv4PacketInfo, &false)?;
        }
        Self::new(socket, state)
    }

    /// A socket of an allocation, of the family of this door.
    pub(crate) fn beside(&self, socket: std::net::UdpSocket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        if self.addr.is_ipv4() {
            set_ip_recvtos(&socket, true)?;
        } else {
            set_ipv6_recvtclass(&socket, true)?;
        }
        if let Err(error) = setsockopt(&socket, sockopt::UdpGroSegment, &true) {
            tracing::trace!(%error, "the system gives one datagram at a time");
        }
        let relayed = Self::new(socket, Arc::clone(&self.state))?;
        relayed.hear_of_losses()?;
        Ok(relayed)
    }

    fn new(socket: std::net::UdpSocket, state: Arc<UdpSocketState>) -> io::Result<Self> {
        let addr = socket.local_addr()?;
        let segments = Cell::new(state.max_gso_segments());
        let datagrams = Self { socket: UdpSocket::from_std(socket), state, addr, segments };
        datagrams.may_fragment(true)?;
        Ok(datagrams)
    }

    /// Makes room for what comes while the relay is busy, as much as the system allows.
    pub(crate) fn widen(&self) {
        for result in [
            self.state.set_recv_buffer_size((&self.socket).into(), limits::SOCKET_BUFFER),
            self.state.set_send_buffer_size((&self.socket).into(), limits::SOCKET_BUFFER),
        ] {
            if let Err(error) = result {
                tracing::debug!(%error, "a socket keeps its buffers");
            }
        }
    }

    /// Asks the system to say what becomes of datagrams that do not arrive (ICMP).
    fn hear_of_losses(&self) -> io::Result<()> {
        if self.addr.is_ipv4() {
            setsockopt(&self.socket, sockopt::Ipv4RecvErr, &true)?;
        } else {
            setsockopt(&self.socket, sockopt::Ipv6RecvErr, &true)?;
        }
        Ok(())
    }

    /// Whether datagrams that are too large for their path may go in pieces (RFC 8656 §15).
    pub(crate) fn may_fragment(&self, may: bool) -> io::Result<()> {
        if self.addr.is_ipv4() {
            // Such a socket hears "fragmentation needed", but does not go by it.
            let discover = if may { Ipv4PathMtuDiscovery::OMIT } else { Ipv4PathMtuDiscovery::DO };
            set_ip_mtu_discover(&self.socket, discover)?;
        } else {
            let discover = if may { Ipv6PathMtuDiscovery::DONT } else { Ipv6PathMtuDiscovery::DO };
            set_ipv6_mtu_discover(&self.socket, discover)?;
            // `quinn-udp` forbids it by this option too.
            setsockopt(&self.socket, sockopt::Ipv6DontFrag, &!may)?;
        }
        Ok(())
    }

    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.socket, token, Interest::READABLE)
    }

    /// It is another's to wait for.
    pub(crate) fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        registry.deregister(&mut self.socket)
    }

    /// The address that it is bound to.
    pub(crate) const fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) const fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// How many datagrams go in one call at most.
    pub(crate) fn most_segments(&self) -> usize {
        self.segments.get()
    }

    /// Sends datagrams of one size, of which the last may be shorter; lost are those that do not go at once.
    pub(crate) fn send(&self, to: SocketAddr, contents: &[u8], size: usize, ecn: Option<EcnCodepoint>) {
        let Err(refused) = self.try_send(to, contents, size, ecn) else { return };
        if contents.len() <= size {
            return;
        }
        if refused.raw_os_error().is_some_and(|code| Errno::from_raw(code) == Errno::EIO) {
            self.segments.set(1);
        }
        // A path may be too narrow for one of them, or a device unable to cut: then each by itself.
        for datagram in contents.chunks(size) {
            // Whatever it is lost for, its sender knows how to bear it.
            drop(self.try_send(to, datagram, size, ecn));
        }
    }

    fn try_send(
        &self,
        destination: SocketAddr,
        contents: &[u8],
        size: usize,
        ecn: Option<EcnCodepoint>,
    ) -> io::Result<()> {
        let segment_size = (size < contents.len()).then_some(size);
        let transmit = Transmit { destination, ecn, contents, segment_size, src_ip: None };
        let sent = self.state.try_send((&self.socket).into(), &transmit);
        // The first call after an ICMP error tells of that, whatever it was, and sends nothing.
        if sent.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::WouldBlock) {
            return self.state.try_send((&self.socket).into(), &transmit);
        }
        sent
    }
}

/// Where datagrams are received into; one serves all sockets of a shard.
pub(crate) struct Intake {
    memory: Box<[u8]>,
    metas: [RecvMeta; BATCH_SIZE],
}

/// Datagrams of one sender: of one size, but for the last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group<'a> {
    pub(crate) from: SocketAddr,
    pub(crate) ecn: Option<EcnCodepoint>,
    bytes: &'a [u8],
    size: usize,
}

impl<'a> Group<'a> {
    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.bytes.len().div_ceil(self.size.max(1)).max(1)
    }

    pub(crate) fn datagrams(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let empty = self.bytes.is_empty().then_some(self.bytes);
        self.bytes.chunks(self.size.max(1)).chain(empty)
    }
}

impl Intake {
    pub(crate) fn new() -> Self {
        Self { memory: vec![0; limits::GROUP * BATCH_SIZE].into(), metas: [RecvMeta::default(); BATCH_SIZE] }
    }

    /// Receives what stands in the socket's queue, up to so many groups.
    pub(crate) fn receive<'a>(
        &'a mut self,
        from: &Datagrams,
        most: usize,
    ) -> io::Result<impl ExactSizeIterator<Item = Group<'a>> + use<'a>> {
        let mut slots = self.memory.chunks_mut(limits::GROUP);
        let mut slots: [IoSliceMut<'_>; BATCH_SIZE] =
            std::array::from_fn(|_| IoSliceMut::new(slots.next().unwrap_or_default()));
        let slots = slots.get_mut(..most).unwrap_or_default();
        let received = from.state.recv((&from.socket).into(), slots, &mut self.metas)?;
        let groups = self.metas.iter().zip(self.memory.chunks(limits::GROUP)).take(received);
        Ok(groups.map(|(meta, slot)| Group {
            from: meta.addr,
            ecn: meta.ecn,
            bytes: slot.get(..meta.len).unwrap_or_default(),
            size: meta.stride,
        }))
    }
}

/// How many groups one call receives at most.
pub(crate) const MOST: usize = BATCH_SIZE;

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;
    use std::{net::UdpSocket, os::fd::AsRawFd as _};

    use nix::sys::socket::{
        AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, sendto, socket,
    };
    use switchhook_programs::skipped;

    use super::*;

    /// What a router says of a datagram, as RFC 792 has it: a protocol that is not there. The system tells it as
    /// another error than those of closed ports and of hosts that are away.
    fn protocol_unreachable(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
        let (SocketAddr::V4(from), SocketAddr::V4(to)) = (from, to) else { panic!("IPv4 alone") };
        let ip = [&[0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0][..], &from.ip().octets(), &to.ip().octets()];
        let udp = [&from.port().to_be_bytes()[..], &to.port().to_be_bytes(), &[0, 8, 0, 0]];
        let mut message = [&[3, 2, 0, 0, 0, 0, 0, 0], &*ip.concat(), &*udp.concat()].concat();
        let words = message.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
        let sum = words.sum::<u32>();
        let checksum = !u16::try_from((sum & 0xFFFF) + (sum >> 16)).unwrap();
        message[2..4].copy_from_slice(&checksum.to_be_bytes());
        message
    }

    #[test]
    fn rel_3_a_datagram_after_bad_news_of_another_is_not_lost() {
        let raw = socket(AddressFamily::Inet, SockType::Raw, SockFlag::empty(), SockProtocol::Icmp);
        let Ok(router) = raw else {
            return skipped::say("rel_3_a_datagram_after_bad_news_of_another_is_not_lost", "no raw sockets");
        };
        let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let door = Datagrams::door(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).unwrap();
        let relayed = door.beside(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).unwrap();
        let to = peer.local_addr().unwrap();

        let news = protocol_unreachable(relayed.addr(), to);
        let device = SockaddrIn::new(127, 0, 0, 1, 0);
        sendto(router.as_raw_fd(), &news, &device, MsgFlags::empty()).unwrap();
        relayed.send(to, b"after it", 8, None);

        // On loopback what is sent has arrived.
        peer.set_nonblocking(true).unwrap();
        let mut buffer = [0; 16];
        assert_eq!(peer.recv(&mut buffer).unwrap(), 8);
    }
}
