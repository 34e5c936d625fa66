//! UDP datagrams in IPv4 packets.

use std::net::SocketAddrV4;

use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};

/// A whole datagram on its way.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Datagram<'a> {
    pub(crate) from: SocketAddrV4,
    pub(crate) to: SocketAddrV4,
    ttl: u8,
    payload: &'a [u8],
}

impl<'a> Datagram<'a> {
    /// Reads a packet; nothing if it is no UDP, or a fragment, or at the end of its life.
    pub(crate) fn read(packet: &'a [u8]) -> Option<Self> {
        let packet = SlicedPacket::from_ip(packet).ok()?;
        let (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Udp(udp))) = (packet.net, packet.transport)
        else {
            return None;
        };
        let header = ip.header();
        let ttl = header.ttl().checked_sub(1).filter(|ttl| *ttl > 0)?;
        Some(Self {
            from: SocketAddrV4::new(header.source_addr(), udp.source_port()),
            to: SocketAddrV4::new(header.destination_addr(), udp.destination_port()),
            ttl,
            payload: udp.payload(),
        })
    }

    /// The packet one hop further, with other addresses.
    pub(crate) fn rewritten(&self, from: SocketAddrV4, to: SocketAddrV4) -> Option<Vec<u8>> {
        let builder = PacketBuilder::ipv4(from.ip().octets(), to.ip().octets(), self.ttl);
        let builder = builder.udp(from.port(), to.port());
        let mut packet = Vec::with_capacity(builder.size(self.payload.len()));
        builder.write(&mut packet, self.payload).ok()?;
        Some(packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(ttl: u8) -> Vec<u8> {
        let mut packet = Vec::new();
        let builder = PacketBuilder::ipv4([10, 0, 0, 1], [192, 0, 2, 1], ttl).udp(7, 9);
        builder.write(&mut packet, b"hello").unwrap();
        packet
    }

    #[test]
    fn a_packet_that_is_read_and_rewritten_is_one_hop_older() {
        let packet_in = packet(64);
        let datagram = Datagram::read(&packet_in).unwrap();
        let (from, to) = ("203.0.113.1:7".parse().unwrap(), "192.0.2.1:9".parse().unwrap());
        assert_eq!((datagram.from.to_string(), datagram.to), ("10.0.0.1:7".to_owned(), to));

        let rewritten = datagram.rewritten(from, to).unwrap();
        let again = Datagram::read(&rewritten).unwrap();
        assert_eq!(again, Datagram { from, to, ttl: 62, payload: b"hello" });
    }

    #[test]
    fn what_is_no_whole_datagram_with_a_hop_left_is_nothing() {
        assert_eq!(Datagram::read(&packet(1)), None);
        assert_eq!(Datagram::read(&packet(64)[..30]), None);
        let mut fragment = packet(64);
        fragment[6] = 0x20; // more fragments
        assert_eq!(Datagram::read(&fragment), None);
        let mut tcp = packet(64);
        tcp[9] = 6;
        assert_eq!(Datagram::read(&tcp), None);
    }
}
