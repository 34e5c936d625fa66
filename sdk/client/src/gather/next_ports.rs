//! Where a NAT that gives out one port after the other will be seen next.

use core::net::SocketAddr;

use crate::limits;

/// The ports that follow, by what both ports of CDX have seen.
///
/// Only where these are neighbours: anything else is no sequence, and a guess at it is waste.
pub(super) fn next_ports(seen: &[SocketAddr]) -> Vec<SocketAddr> {
    let [one, other] = seen else { return Vec::new() };
    let step = one.port().abs_diff(other.port());
    if one.ip() != other.ip() || !(1..=limits::PREDICTED_PORTS).contains(&step) {
        return Vec::new();
    }
    let last = one.port().max(other.port());
    let port = |ahead: u16| last.checked_add(step.checked_mul(ahead)?);
    (1..=limits::PREDICTED_PORTS).filter_map(port).map(|port| SocketAddr::new(one.ip(), port)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_guessed_of_a_nat_that_gives_out_one_after_the_other_and_of_no_other() {
        let guessed = |one: &str, other: &str| -> Vec<u16> {
            let seen = [one, other].map(|text| text.parse().unwrap());
            next_ports(&seen).into_iter().map(|addr: SocketAddr| addr.port()).collect()
        };
        assert_eq!(guessed("192.0.2.1:1000", "192.0.2.1:1001"), [1002, 1003, 1004, 1005]);
        assert_eq!(guessed("192.0.2.1:1002", "192.0.2.1:1000"), [1004, 1006, 1008, 1010]);
        assert_eq!(guessed("192.0.2.1:65533", "192.0.2.1:65534"), [65535]);
        assert_eq!(guessed("192.0.2.1:1000", "192.0.2.1:1000"), Vec::<u16>::new(), "a cone");
        assert_eq!(guessed("192.0.2.1:1000", "192.0.2.1:9000"), Vec::<u16>::new(), "random");
        assert_eq!(guessed("192.0.2.1:1000", "192.0.2.2:1001"), Vec::<u16>::new(), "another address");
    }
}
