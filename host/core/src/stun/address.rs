//! Addresses as values of attributes, plain or under XOR (RFC 8489 §14.1, §14.2).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::MAGIC_COOKIE;

/// Size of the longest value: family, port, and an IPv6 address.
const LONGEST: usize = 20;

/// Reads the value of an attribute that is an address under XOR (RFC 8489 §14.2).
pub fn read_address(value: &[u8], transaction: &[u8; 12]) -> Option<SocketAddr> {
    let ([_, family, p0, p1], address) = value.split_first_chunk::<4>()?;
    let port = u16::from_be_bytes([p0 ^ MAGIC_COOKIE[0], p1 ^ MAGIC_COOKIE[1]]);
    let mut octets = [0; 16];
    octets.get_mut(..address.len())?.copy_from_slice(address);
    mask(&mut octets, transaction);
    let ip = match (family, address.len(), octets) {
        (1, 4, [a, b, c, d, ..]) => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
        (2, 16, octets) => IpAddr::V6(Ipv6Addr::from(octets)),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// The value for an address, and how much of it counts; under XOR if there is a transaction.
pub(super) fn value(addr: SocketAddr, under: Option<&[u8; 12]>) -> ([u8; LONGEST], usize) {
    let mut octets = [0; 16];
    let (family, size) = match addr.ip() {
        IpAddr::V4(ip) => {
            octets.iter_mut().zip(ip.octets()).for_each(|(to, from)| *to = from);
            (1, 4)
        }
        IpAddr::V6(ip) => {
            octets = ip.octets();
            (2, 16)
        }
    };
    let [mut p0, mut p1] = addr.port().to_be_bytes();
    if let Some(transaction) = under {
        mask(&mut octets, transaction);
        p0 ^= MAGIC_COOKIE[0];
        p1 ^= MAGIC_COOKIE[1];
    }
    let mut value = [0; LONGEST];
    value.iter_mut().zip([0, family, p0, p1].into_iter().chain(octets)).for_each(|(to, from)| *to = from);
    (value, 4 + size)
}

/// XOR with magic cookie and transaction id (RFC 8489 §14.2).
fn mask(octets: &mut [u8; 16], transaction: &[u8; 12]) {
    let key = MAGIC_COOKIE.iter().chain(transaction);
    octets.iter_mut().zip(key).for_each(|(octet, key)| *octet ^= key);
}
