//! Whole IP packets on their way.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A packet, as it leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) to: IpAddr,
    pub(crate) bytes: Vec<u8>,
}

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Where the headers of TCP and UDP have their checksum.
const fn checksum_at(protocol: u8) -> Option<usize> {
    match protocol {
        TCP => Some(16),
        UDP => Some(6),
        _ => None,
    }
}

impl Packet {
    /// Reads a packet for somewhere beyond the next cable; nothing for what is for everybody on it.
    ///
    /// On a virtual cable checksums are left to hardware that is not there, and a packet socket shows them half done. So
    /// they are done here. Of fragments none is: the sender has.
    pub(crate) fn read(packet: &[u8]) -> Option<Self> {
        let mut bytes = packet.to_vec();
        match packet.first()? >> 4 {
            4 => {
                let addresses: [u8; 8] = packet.get(12..20)?.try_into().ok()?;
                let to = Ipv4Addr::from(*addresses.last_chunk()?);
                let header = usize::from(packet.first()? & 0xF) * 4;
                // More to come, or what came before: without the bits that say other things, nothing.
                let is_whole = u16::from_be_bytes(*packet.get(6..)?.first_chunk()?) << 2 == 0;
                let length = usize::from(u16::from_be_bytes(*packet.get(2..)?.first_chunk()?));
                bytes.truncate(length);
                if is_whole {
                    complete(bytes.get_mut(header..)?, *packet.get(9)?, &addresses);
                }
                (!to.is_multicast() && !to.is_broadcast()).then_some(Self { to: to.into(), bytes })
            }
            6 => {
                let addresses: [u8; 32] = packet.get(8..40)?.try_into().ok()?;
                let to = Ipv6Addr::from(*addresses.last_chunk()?);
                let length = usize::from(u16::from_be_bytes(*packet.get(4..)?.first_chunk()?));
                bytes.truncate(40 + length);
                complete(bytes.get_mut(40..)?, *packet.get(6)?, &addresses);
                (!to.is_multicast() && !to.is_unicast_link_local()).then_some(Self { to: to.into(), bytes })
            }
            _ => None,
        }
    }
}

/// Writes the checksum of TCP or UDP (RFC 9293 §3.1, RFC 768, RFC 8200 §8.1).
fn complete(segment: &mut [u8], protocol: u8, addresses: &[u8]) {
    let Some(at) = checksum_at(protocol) else { return };
    let Ok(length) = u32::try_from(segment.len()) else { return };
    let Some(field) = segment.get_mut(at..at + 2) else { return };
    field.fill(0);
    let pseudo_header = [addresses, &length.to_be_bytes(), &[0, 0, 0, protocol]].concat();
    let sum = !ones_complement(&pseudo_header, segment);
    // A sum of zero says for UDP that there is none.
    let sum = if protocol == UDP && sum == 0 { u16::MAX } else { sum };
    if let Some(field) = segment.get_mut(at..at + 2) {
        field.copy_from_slice(&sum.to_be_bytes());
    }
}

/// The sum of all words, with what overflows added at the end (RFC 1071). The first part has whole words.
fn ones_complement(first: &[u8], second: &[u8]) -> u16 {
    let words = first.chunks(2).chain(second.chunks(2));
    let word = |bytes: &[u8]| match *bytes {
        [high, low] => u16::from_be_bytes([high, low]),
        [high] => u16::from_be_bytes([high, 0]),
        _ => 0,
    };
    let sum: u64 = words.map(|bytes| u64::from(word(bytes))).sum();
    u16::try_from(fold(sum)).unwrap_or_default()
}

const fn fold(mut sum: u64) -> u64 {
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    sum
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;

    use super::*;

    /// A datagram with its checksum, of an odd length.
    fn whole(v6: bool) -> Vec<u8> {
        let mut packet = Vec::new();
        let builder = if v6 {
            PacketBuilder::ipv6([1; 16], [2; 16], 64)
        } else {
            PacketBuilder::ipv4([10, 0, 0, 1], [192, 0, 2, 1], 64)
        };
        builder.udp(7, 9).write(&mut packet, b"hello").unwrap();
        packet
    }

    /// A segment with its checksum.
    fn segment() -> Vec<u8> {
        let mut packet = Vec::new();
        let builder = PacketBuilder::ipv4([10, 0, 0, 1], [192, 0, 2, 1], 64).tcp(7, 9, 1_000, 2_000);
        builder.write(&mut packet, b"hello!").unwrap();
        packet
    }

    #[test]
    fn a_packet_leaves_with_the_checksum_that_it_should_have_had() {
        for (whole, header, field) in [(whole(false), 20, 6), (whole(true), 40, 6), (segment(), 20, 16)] {
            let mut half_done = whole.clone();
            half_done[header + field..header + field + 2].fill(0x5A);
            assert_eq!(Packet::read(&half_done).unwrap().bytes, whole);
        }
    }

    #[test]
    fn what_is_for_everybody_on_the_cable_and_what_is_no_packet_does_not_pass() {
        let mut to_all = whole(false);
        to_all[16] = 224;
        let mut beside = whole(true);
        beside[24..26].copy_from_slice(&[0xFE, 0x80]);
        for packet in [&to_all, &beside, &whole(false)[..19], &whole(true)[..39], &[0x50; 64], &[]] {
            assert_eq!(Packet::read(packet), None);
        }
    }
}
