//! What becomes of datagrams that do not reach their peer: ICMP errors, told to the client (RFC 8656 §11.6).
//!
//! The system keeps them in a queue of the socket's, each with the address that the datagram went to.

use std::{
    io::IoSliceMut,
    net::{SocketAddr, SocketAddrV4, SocketAddrV6},
    os::fd::AsRawFd as _,
};

use mio::net::UdpSocket;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg};

use crate::{limits, outgoing::Via, relaying::Relaying, wire::attribute};

/// A router's or a host's word about a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Loss {
    to: SocketAddr,
    kind: u8,
    code: u8,
    /// The next hop's MTU where the datagram was too large.
    info: u32,
}

/// What a socket's queue of errors holds.
enum Report {
    Lost(Loss),
    /// Something that clients are not told.
    Other,
}

/// Who says so (`<linux/errqueue.h>`).
const BY_ICMP: u8 = 2;
const BY_ICMP6: u8 = 3;

impl Relaying {
    /// Tells a client what its peers' networks say.
    pub(crate) fn tell_of_losses(&mut self, via: Via) {
        let Via::Relayed(key, _) = via else { return };
        for _ in 0..limits::REPORTS {
            let Some(report) = self.socket(via).and_then(|socket| next(socket.socket())) else {
                return;
            };
            let Report::Lost(loss) = report else { continue };
            let Some(allocation) = self.allocations.get(key) else { return };
            let Some(peer) = self.host.filter.from(loss.to) else { continue };
            if allocation.peers.are_permitted(peer.ip(), self.now) {
                let caller = allocation.caller.clone();
                self.indicate(&caller, peer, attribute::ICMP, &loss.value());
            }
        }
    }
}

impl Loss {
    /// RFC 8656 §18.13: seven bits of type, nine of code.
    fn value(self) -> [u8; 8] {
        let word = (u16::from(self.kind & 0x7F) << 9) | u16::from(self.code);
        let ([w0, w1], [i0, i1, i2, i3]) = (word.to_be_bytes(), self.info.to_be_bytes());
        [0, 0, w0, w1, i0, i1, i2, i3]
    }

    /// What RFC 8656 §11.6 tells of: unreachable, too large, expired.
    const fn is_told(by: u8, kind: u8) -> bool {
        matches!((by, kind), (BY_ICMP, 3 | 11) | (BY_ICMP6, 1..=3))
    }
}

/// The next report in a socket's queue.
fn next(socket: &UdpSocket) -> Option<Report> {
    let mut begin = [0; 64];
    let mut slices = [IoSliceMut::new(&mut begin)];
    // The report stands behind what `quinn-udp` asks of every datagram: address and type of service.
    let mut space = nix::cmsg_space!([u8; 256]);
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let report = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut slices, Some(&mut space), flags).ok()?;
    let to = report.address.as_ref().and_then(addr);
    let error = report.cmsgs().ok()?.find_map(|message| {
        if let ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _) =
            message
        {
            Some(error)
        } else {
            None
        }
    });
    let told = to.zip(error).filter(|(_, error)| Loss::is_told(error.ee_origin, error.ee_type));
    Some(told.map_or(Report::Other, |(to, error)| {
        Report::Lost(Loss { to, kind: error.ee_type, code: error.ee_code, info: error.ee_info })
    }))
}

fn addr(storage: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = storage.as_sockaddr_in().map(|addr| SocketAddrV4::from(*addr).into());
    v4.or_else(|| storage.as_sockaddr_in6().map(|addr| SocketAddrV6::from(*addr).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_written_as_the_rfc_has_it() {
        let to = "192.0.2.1:9".parse().unwrap();
        let loss = Loss { to, kind: 3, code: 4, info: 1400 };
        assert_eq!(loss.value(), [0, 0, 6, 4, 0, 0, 5, 0x78]);
        assert!(Loss::is_told(BY_ICMP, 3) && Loss::is_told(BY_ICMP6, 2));
        assert!(!Loss::is_told(BY_ICMP, 5) && !Loss::is_told(1, 3));
    }
}
