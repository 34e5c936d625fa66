//! Where CDX listens: every address with both ports, for datagrams and for streams.
//!
//! The places stand in one row, port after port and address after address, so that "the other port" and
//! "the other address" are a bit of the number each (RFC 5780 answers come from either).

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

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
}

pub(crate) async fn bind(config: &CdxConfig) -> Result<Bound, BindError> {
    let ips: Vec<Ip> = [Some(config.ip), config.other_ip].into_iter().flatten().collect();
    let [first, second] = config.ports;
    let (first, second) = (bind_port(&ips, first).await?, bind_port(&ips, second).await?);
    let addrs = [first.port, second.port].map(|port| SocketAddr::new(config.ip.public(), port));
    let (mut places, mut listeners) = (Vec::new(), Vec::new());
    for (at, (one, two)) in first.sockets.into_iter().zip(second.sockets).enumerate() {
        let ip = ips.get(at).map_or(config.ip, |ip| *ip).public();
        let other_ip = ips.get(at ^ 1).map(|other| other.public());
        for ((socket, listener), port, other) in
            [(one, first.port, second.port), (two, second.port, first.port)]
        {
            let others = Others { port: other, ip: other_ip };
            places.push(Arc::new(Place { socket, addr: SocketAddr::new(ip, port), others }));
            listeners.push(listener);
        }
    }
    Ok(Bound { places: row(places), listeners, addrs })
}

fn row(places: Vec<Arc<Place>>) -> Vec<At> {
    let all: Arc<[Arc<Place>]> = places.into();
    let at = |(number, here)| At { here: Arc::clone(here), all: Arc::clone(&all), number };
    all.iter().enumerate().map(at).collect()
}

/// One port number, bound on every address.
struct Port {
    port: u16,
    sockets: Vec<(UdpSocket, TcpListener)>,
}

async fn bind_port(ips: &[Ip], wanted: u16) -> Result<Port, BindError> {
    let mut tries = if wanted == 0 { limits::PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        match try_port(ips, wanted).await {
            Err(BindError::Socket { source, .. })
                if tries > 0 && source.kind() == io::ErrorKind::AddrInUse => {}
            bound => return bound,
        }
    }
}

async fn try_port(ips: &[Ip], wanted: u16) -> Result<Port, BindError> {
    let mut port = wanted;
    let mut sockets = Vec::new();
    for ip in ips {
        let (bound, socket, listener) = listen(ip.bind, port).await?;
        port = bound;
        sockets.push((socket, listener));
    }
    Ok(Port { port, sockets })
}

async fn listen(ip: IpAddr, port: u16) -> Result<(u16, UdpSocket, TcpListener), BindError> {
    let failed = |source| BindError::Socket { addr: SocketAddr::new(ip, port), source };
    let socket = UdpSocket::bind((ip, port)).await.map_err(failed)?;
    let port = socket.local_addr().map_err(failed)?.port();
    let listener = TcpListener::bind((ip, port)).await.map_err(failed)?;
    Ok((port, socket, listener))
}
