//! A relayed transport address: a port of the relay's that an allocation has.

use std::{
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
    sync::Arc,
};

use mio::{Registry, Token};
use tokio::time::Instant;

use crate::{
    awaited::Awaited,
    bandwidth::Meter,
    connections::Listening,
    datagrams::Datagrams,
    family::{Family, PerFamily},
    host::Host,
    outgoing::Via,
    ports::GivenOut,
    quotas::{Participant, Place},
    transport::Transport,
};

pub(crate) struct Relayed {
    /// Before the socket: who has the port next says so after this is gone.
    pub(crate) _given: GivenOut,
    pub(crate) socket: RelayedSocket,
    /// Under which address peers reach it.
    pub(crate) public: SocketAddr,
    pub(crate) until: Instant,
}

/// By what peers are reached.
pub(crate) enum RelayedSocket {
    Datagrams(Datagrams),
    Listening(Listening),
}

/// A socket that is bound, and nobody's yet.
pub(crate) enum BoundSocket {
    Udp(UdpSocket),
    Tcp(TcpListener),
}

/// Makes sockets addresses of an allocation, and waits for what comes to them.
pub(crate) struct Opening<'a> {
    pub(crate) host: &'a Host,
    pub(crate) doors: &'a PerFamily<Datagrams>,
    pub(crate) registry: &'a Registry,
    /// The allocation's key, and until when it lives.
    pub(crate) key: usize,
    pub(crate) until: Instant,
    /// What its connections have from it, if there are to be any.
    pub(crate) participant: &'a Participant,
    pub(crate) meter: &'a Meter,
    pub(crate) place: &'a Place,
}

impl RelayedSocket {
    pub(crate) const fn datagrams(&self) -> Option<&Datagrams> {
        match self {
            Self::Datagrams(datagrams) => Some(datagrams),
            Self::Listening(_) => None,
        }
    }

    pub(crate) const fn listening(&self) -> Option<&Listening> {
        match self {
            Self::Datagrams(_) => None,
            Self::Listening(listening) => Some(listening),
        }
    }

    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match self {
            Self::Datagrams(datagrams) => datagrams.register(registry, token),
            Self::Listening(listening) => listening.register(registry, token),
        }
    }

    /// It is another's to wait for.
    pub(crate) fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Self::Datagrams(datagrams) => datagrams.deregister(registry),
            Self::Listening(listening) => listening.deregister(registry),
        }
    }
}

impl Opening<'_> {
    pub(crate) fn open(&self, socket: BoundSocket) -> io::Result<(Family, Relayed)> {
        let (addr, transport) = match &socket {
            BoundSocket::Udp(socket) => (socket.local_addr()?, Transport::Udp),
            BoundSocket::Tcp(listener) => (listener.local_addr()?, Transport::Tcp),
        };
        let family = Family::of(addr.ip());
        let mut socket = match socket {
            BoundSocket::Udp(socket) => self.datagrams(family, socket)?,
            BoundSocket::Tcp(listener) => self.listening(listener)?,
        };
        socket.register(self.registry, Awaited::Socket(Via::Relayed(self.key, family)).token())?;
        let given = self.host.filter.ports(family, transport).ok_or_else(absent)?.give_out(addr.port());
        Ok((family, Relayed { socket, public: self.host.public(addr), until: self.until, _given: given }))
    }

    fn datagrams(&self, family: Family, socket: UdpSocket) -> io::Result<RelayedSocket> {
        self.doors.get(family).ok_or_else(absent)?.beside(socket).map(RelayedSocket::Datagrams)
    }

    fn listening(&self, listener: TcpListener) -> io::Result<RelayedSocket> {
        let connections = &self.host.connections;
        let links = connections.links(self.participant.clone(), self.meter.clone(), self.place.seat());
        let pending = Arc::clone(&connections.pending);
        Listening::new(listener, Arc::new(links), pending).map(RelayedSocket::Listening)
    }
}

fn absent() -> io::Error {
    io::Error::from(io::ErrorKind::AddrNotAvailable)
}
