//! Where CDX listens: every address with both ports, for datagrams and for streams.
//!
//! The places stand in one row, port after port and address after address, so that "the other port" and
//! "the other address" are a bit of the number each (RFC 5780 answers come from either).

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use socket2::{Domain, Socket, Type};
use switchhook_core::cdx::{Origin, Others};
use tokio::net::{TcpListener, UdpSocket};

use crate::{BindError, CdxConfig, Ip, limits};

/// One address and port, for datagrams.
pub(crate) struct Place {
    pub(crate) socket: UdpSocket,
    /// Where clients reach it.
    pub(crate) addr: SocketAddr,
    pub(crate) others: Others,
}

/// A place among all.
#[derive(Clone)]
pub(crate) struct At {
    pub(crate) here: Arc<Place>,
    all: Arc<[Arc<Place>]>,
    number: usize,
}

impl At {
    /// The place that an answer goes out from.
    pub(crate) fn answering(&self, origin: Origin) -> &Place {
        let other = usize::from(origin.other_port) | usize::from(origin.other_ip) << 1;
        self.all.get(self.number ^ other).unwrap_or(&self.here)
    }
}

/// What is bound.
pub(crate) struct Bound {
    pub(crate) places: Vec<At>,
    pub(crate) listeners: Vec<TcpListener>,
    /// Where clients reach both ports of the first address.
    pub(crate) addrs: [SocketAddr; 2],
    /// The same of the address of the other family.
    pub(crate) other_family: Option<[SocketAddr; 2]>,
}

pub(crate) fn bind(config: &CdxConfig) -> Result<Bound, BindError> {
    let of_family: Vec<Ip> = [Some(config.ip), config.other_ip].into_iter().flatten().collect();
    let beside: Vec<Ip> = config.other_family.into_iter().collect();
    let all: Vec<Ip> = of_family.iter().chain(&beside).copied().collect();
    let [first, second] = config.ports;
    let (first, second) = (bind_port(&all, first)?, bind_port(&all, second)?);
    let ports = [first.port, second.port];
    let reached = |ip: Ip| ports.map(|port| SocketAddr::new(ip.public(), port));
    let (addrs, other_family) = (reached(config.ip), config.other_family.map(reached));
    let mut pairs = first.sockets.into_iter().zip(second.sockets);
    let (mut places, mut listeners) = (Vec::new(), Vec::new());
    for ips in [of_family, beside] {
        let (of_datagrams, of_streams) = in_family(&ips, pairs.by_ref().take(ips.len()), ports);
        places.extend(row(of_datagrams));
        listeners.extend(of_streams);
    }
    Ok(Bound { places, listeners, addrs, other_family })
}

/// The places of one family, in the order of the module's row.
fn in_family(
    ips: &[Ip],
    bound: impl Iterator<Item = (Sockets, Sockets)>,
    [first, second]: [u16; 2],
) -> (Vec<Arc<Place>>, Vec<TcpListener>) {
    let (mut places, mut listeners) = (Vec::new(), Vec::new());
    for ((at, own), (one, two)) in ips.iter().enumerate().zip(bound) {
        let ip = own.public();
        let other_ip = ips.get(at ^ 1).map(|other| other.public());
        for ((socket, listener), port, other) in [(one, first, second), (two, second, first)] {
            let others = Others { port: other, ip: other_ip };
            places.push(Arc::new(Place { socket, addr: SocketAddr::new(ip, port), others }));
            listeners.push(listener);
        }
    }
    (places, listeners)
}

fn row(places: Vec<Arc<Place>>) -> Vec<At> {
    let all: Arc<[Arc<Place>]> = places.into();
    let at = |(number, here)| At { here: Arc::clone(here), all: Arc::clone(&all), number };
    all.iter().enumerate().map(at).collect()
}

/// One port number, bound on every address.
struct Port {
    port: u16,
    sockets: Vec<Sockets>,
}

/// For datagrams, and for streams.
type Sockets = (UdpSocket, TcpListener);

fn bind_port(ips: &[Ip], wanted: u16) -> Result<Port, BindError> {
    let mut tries = if wanted == 0 { limits::PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        match try_port(ips, wanted) {
            Err(BindError::Socket { source, .. })
                if tries > 0 && source.kind() == io::ErrorKind::AddrInUse => {}
            bound => return bound,
        }
    }
}

fn try_port(ips: &[Ip], wanted: u16) -> Result<Port, BindError> {
    let mut port = wanted;
    let mut sockets = Vec::new();
    for ip in ips {
        let (bound, socket, listener) = listen(ip.bind, port)?;
        port = bound;
        sockets.push((socket, listener));
    }
    Ok(Port { port, sockets })
}

fn listen(ip: IpAddr, port: u16) -> Result<(u16, UdpSocket, TcpListener), BindError> {
    let failed = |source| BindError::Socket { addr: SocketAddr::new(ip, port), source };
    let socket = UdpSocket::from_std(bound(ip, port, Type::DGRAM).map_err(failed)?.into()).map_err(failed)?;
    let port = socket.local_addr().map_err(failed)?.port();
    let listener = bound(ip, port, Type::STREAM).map_err(failed)?;
    listener.listen(limits::WAITING_STREAMS).map_err(failed)?;
    let listener = TcpListener::from_std(listener.into()).map_err(failed)?;
    Ok((port, socket, listener))
}

/// A socket for addresses of its own family alone, so that the other family's has the same port beside it.
fn bound(ip: IpAddr, port: u16, kind: Type) -> io::Result<Socket> {
    let addr = SocketAddr::new(ip, port);
    let socket = Socket::new(Domain::for_address(addr), kind, None)?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    #[cfg(unix)]
    if kind == Type::STREAM {
        // As Tokio does: a port that was left a moment ago is free.
        socket.set_reuse_address(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    Ok(socket)
}
