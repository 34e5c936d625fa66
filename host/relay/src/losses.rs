//! What becomes of datagrams that do not reach their peer: ICMP errors, told to the client (RFC 8656 §11.6).
//!
//! The system keeps them in a queue of the socket's, each with the address that the datagram went to. Where it was told
//! that a path is narrow, it refuses by itself for some minutes what does not fit, and says so in the same queue.

use std::{
    io::IoSliceMut,
    net::{SocketAddr, SocketAddrV4, SocketAddrV6},
    os::fd::AsRawFd as _,
};

use mio::net::UdpSocket;
use nix::{
    errno::Errno,
    sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg},
};

use crate::{
    family::Family, limits, outgoing::Via, relaying::Relaying, transport::Transport, wire::attribute,
};

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
    /// What was to go in one piece does not fit the path, of which the system knows the MTU.
    TooLarge(u32),
    /// Something that clients are not told.
    Other,
}

/// Who says so (`<linux/errqueue.h>`).
const BY_ITSELF: u8 = 1;
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
            if let Report::Lost(loss) = report {
                self.tell_of(key, loss);
            }
        }
    }

    /// Tells a client what became of a datagram that has just been sent there in one piece.
    pub(crate) fn tell_whether_too_large(&mut self, via: Via, to: SocketAddr) {
        let Via::Relayed(key, family) = via else { return };
        let mut too_large = None;
        for _ in 0..limits::REPORTS {
            match self.socket(via).and_then(|socket| next(socket.socket())) {
                Some(Report::Lost(loss)) => self.tell_of(key, loss),
                // The system says so at every try, and the datagram is one.
                Some(Report::TooLarge(mtu)) => too_large = Some(mtu),
                Some(Report::Other) => {}
                None => break,
            }
        }
        if let Some(mtu) = too_large {
            self.tell_of(key, Loss::too_large(to, family, mtu));
        }
    }

    fn tell_of(&mut self, key: usize, loss: Loss) {
        let Some(allocation) = self.allocations.get(key) else { return };
        let Some(peer) = self.host.filter.from(loss.to, Transport::Udp) else { return };
        if allocation.peers.are_permitted(peer.ip(), self.now) {
            let caller = allocation.caller.clone();
            self.indicate(&caller, peer, attribute::ICMP, &loss.value());
        }
    }
}

impl Loss {
    /// As the router says it that has the narrow line: fragmentation needed, or packet too big.
    const fn too_large(to: SocketAddr, family: Family, mtu: u32) -> Self {
        let (kind, code) = match family {
            Family::V4 => (3, 4),
            Family::V6 => (2, 0),
        };
        Self { to, kind, code, info: mtu }
    }

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
    if let Some(error) = error.filter(|error| error.ee_origin == BY_ITSELF) {
        let too_large =
            i32::try_from(error.ee_errno).is_ok_and(|code| Errno::from_raw(code) == Errno::EMSGSIZE);
        return Some(if too_large { Report::TooLarge(error.ee_info) } else { Report::Other });
    }
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
