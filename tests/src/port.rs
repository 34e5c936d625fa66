//! Ports that are a test's own also while no server listens there.
//!
//! A server that starts again answers where it did before, and until then nobody else may get its port. The system gives
//! a free one to whoever asks for any, or connects from any; so either a socket holds it, or it is none that the system
//! gives.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    ops::Range,
};

use rand::RngExt as _;
use tokio::net::TcpSocket;

/// A port for TCP on loopback, held to its end.
///
/// What holds it is bound and does not listen: the system gives the port to nobody, and whoever binds with
/// `SO_REUSEADDR`, as servers do, may listen there all the same. That may a stranger, too, who was given the same port for
/// datagrams and then listens there, as relays and CDX do: so it is held for datagrams as well.
#[derive(Debug)]
pub struct Port {
    /// Where it is.
    pub addr: SocketAddr,
    _held: (TcpSocket, UdpSocket),
}

/// Below those that the system gives (`net.ipv4.ip_local_port_range`), above those that services are known by.
const OF_NOBODY: Range<u16> = 10_000..32_000;

/// Ports tried before none is free.
const TRIES: u8 = 32;

impl Port {
    /// Any that is free.
    pub fn any() -> io::Result<Self> {
        for _ in 0..TRIES {
            let held = TcpSocket::new_v4()?;
            held.set_reuseaddr(true)?;
            held.bind((Ipv4Addr::LOCALHOST, 0).into())?;
            let addr = held.local_addr()?;
            if let Ok(datagrams) = UdpSocket::bind(addr) {
                return Ok(Self { addr, _held: (held, datagrams) });
            }
        }
        Err(io::ErrorKind::AddrInUse.into())
    }
}

/// A port of this address, for TCP and UDP, that is free and that the system gives to nobody: for what no socket can
/// hold.
pub fn of_nobody(ip: IpAddr) -> io::Result<u16> {
    for _ in 0..TRIES {
        let port = rand::rng().random_range(OF_NOBODY);
        if TcpListener::bind((ip, port)).is_ok() && UdpSocket::bind((ip, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_that_is_held_takes_one_listener_after_the_other_and_is_given_to_nobody() {
        let port = Port::any().unwrap();
        for _ in 0..2 {
            let listener = tokio::net::TcpListener::bind(port.addr).await.unwrap();
            assert!(tokio::net::TcpListener::bind(port.addr).await.is_err(), "one at a time");
            drop(listener);
        }
        assert!(UdpSocket::bind(port.addr).is_err(), "who is given it for datagrams listens there, too");
        // As many as the system has: each is asked for any, and none is this one.
        for _ in 0..2_000 {
            assert_ne!(Port::any().unwrap().addr, port.addr);
        }
    }
}
