//! The sockets of the TURN port: for each shard one of each family, and listeners for streams.

use std::{
    io,
    net::{IpAddr, SocketAddr, TcpListener},
};

use rustix::net::{AddressFamily, SocketType, bind, ipproto, listen as start_listening, sockopt};

use crate::{
    BindError, RelayConfig,
    datagrams::Datagrams,
    family::{Family, PerFamily},
    limits,
};

/// What one relay listens on.
pub(crate) struct Sockets {
    /// For each shard.
    pub(crate) doors: Vec<PerFamily<Datagrams>>,
    pub(crate) listeners: Vec<TcpListener>,
    pub(crate) tls_listeners: Vec<TcpListener>,
    pub(crate) port: u16,
    pub(crate) tls_port: Option<u16>,
}

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1_024;

/// Binds everything; where any port will do, one that is free for all.
pub(crate) fn listen(config: &RelayConfig) -> Result<Sockets, BindError> {
    let ips: Vec<IpAddr> = config.ips().map(|ip| ip.bind).collect();
    let failed = |port| move |source| BindError::Socket { addr: SocketAddr::new(config.ip, port), source };
    let shards = config.shards.max(1);
    let (doors, listeners, port) =
        retried(config.port, |port| both(&ips, port, shards)).map_err(failed(config.port))?;
    let tls = config
        .tls
        .as_ref()
        .map(|tls| retried(tls.port, |port| streams(&ips, port)).map_err(failed(tls.port)));
    let (tls_listeners, tls_port) = tls.transpose()?.unzip();
    Ok(Sockets { doors, listeners, tls_listeners: tls_listeners.unwrap_or_default(), port, tls_port })
}

fn retried<T>(port: u16, mut bind: impl FnMut(u16) -> io::Result<T>) -> io::Result<T> {
    let mut tries = if port == 0 { limits::PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        match bind(port) {
            Err(error) if tries > 0 && error.kind() == io::ErrorKind::AddrInUse => {}
            bound => return bound,
        }
    }
}

type Both = (Vec<PerFamily<Datagrams>>, Vec<TcpListener>, u16);

/// One port for datagrams and streams of all addresses.
fn both(ips: &[IpAddr], mut port: u16, shards: usize) -> io::Result<Both> {
    let mut doors = vec![];
    doors.resize_with(shards, || PerFamily::NONE);
    for ip in ips {
        for socket in datagrams(SocketAddr::new(*ip, port), shards)?.into_iter().zip(&mut doors) {
            let (socket, door) = socket;
            port = socket.addr().port();
            socket.widen();
            *door.slot_mut(Family::of(*ip)) = Some(socket);
        }
    }
    let (listeners, port) = streams(ips, port)?;
    Ok((doors, listeners, port))
}

/// Sockets that share an address; the system spreads senders over them.
fn datagrams(addr: SocketAddr, count: usize) -> io::Result<Vec<Datagrams>> {
    // The first has the address alone, so that a port which another relay uses is not free.
    let first = udp(addr, false)?;
    sockopt::set_socket_reuseport(&first, true)?;
    let addr = first.local_addr()?;
    let others = (1..count).map(|_| udp(addr, true));
    [Ok(first)].into_iter().chain(others).map(|socket| Datagrams::door(socket?)).collect()
}

fn udp(addr: SocketAddr, shares: bool) -> io::Result<std::net::UdpSocket> {
    let socket = unbound(addr, SocketType::DGRAM)?;
    sockopt::set_socket_reuseport(&socket, shares)?;
    bind(&socket, &addr)?;
    Ok(socket.into())
}

fn streams(ips: &[IpAddr], mut port: u16) -> io::Result<(Vec<TcpListener>, u16)> {
    let mut listeners = Vec::with_capacity(ips.len());
    for ip in ips {
        let addr = SocketAddr::new(*ip, port);
        let socket = unbound(addr, SocketType::STREAM)?;
        // A relay that comes back need not wait for its former streams' last segments.
        sockopt::set_socket_reuseaddr(&socket, true)?;
        bind(&socket, &addr)?;
        start_listening(&socket, BACKLOG)?;
        let listener = TcpListener::from(socket);
        listener.set_nonblocking(true)?;
        port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok((listeners, port))
}

/// A socket of the address's family and no other.
pub(crate) fn unbound(addr: SocketAddr, kind: SocketType) -> io::Result<rustix::fd::OwnedFd> {
    let family = if addr.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let protocol = if kind == SocketType::DGRAM { ipproto::UDP } else { ipproto::TCP };
    let flags = rustix::net::SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, kind, flags, Some(protocol))?;
    if addr.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    Ok(socket)
}
