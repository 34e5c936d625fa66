//! Who guesses what: each side's part, where the NAT policy lets clients guess (NAT-3).
//!
//! Ports at random are guessed where exactly one side's NAT has another port for each destination, and the other side
//! is seen at one address by everybody: there some thousand tries win. Between two of the first kind they do not, and
//! between two of the second none is needed. Only what CDX has observed counts: a claim could have others spend packets on
//! an address of a client's choice.

use core::net::SocketAddr;

use switchhook_protocol::{
    connection_data::Mapping,
    peer::{Birthday, Guessing},
};

use crate::{network::NetworkFacts, policy::nat};

/// The parts of the inviter and of the invited device.
pub fn parts(allowed: nat::Guessing, [inviter, invited]: [&NetworkFacts; 2]) -> [Guessing; 2] {
    let part = |own, peer| Guessing {
        next_ports: allowed.next_ports,
        birthday: allowed.birthday.then(|| birthday(own, peer)).flatten(),
    };
    [part(inviter, invited), part(invited, inviter)]
}

fn birthday(own: &NetworkFacts, peer: &NetworkFacts) -> Option<Birthday> {
    let (own_addr, own_port) = (own.external()?, port(own)?);
    let (peer_addr, peer_port) = (peer.external()?, port(peer)?);
    if own_addr.is_ipv4() != peer_addr.is_ipv4() {
        return None;
    }
    match (own_port, peer_port) {
        (Port::Many, Port::One) => Some(Birthday::Sockets { towards: peer_addr }),
        (Port::One, Port::Many) => Some(Birthday::Ports { of: SocketAddr::ip(&peer_addr) }),
        (Port::One, Port::One) | (Port::Many, Port::Many) => None,
    }
}

/// How many ports a NAT has for one socket, as its peers see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Port {
    One,
    Many,
}

fn port(network: &NetworkFacts) -> Option<Port> {
    match network.observed_mapping()? {
        Mapping::None | Mapping::EndpointIndependent => Some(Port::One),
        Mapping::AddressDependent | Mapping::AddressAndPortDependent => Some(Port::Many),
        Mapping::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use alloc::{string::ToString as _, vec::Vec};

    use switchhook_protocol::{
        connection_data::{Claims, ConnectionData},
        time::Timestamp,
    };

    use super::*;
    use crate::{
        observation::Observation,
        seal::{KeyRing, RootKeys, Scope},
        testing::TestRng,
    };

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
    const CONE: [&str; 2] = ["198.51.100.7:4000"; 2];
    const SYMMETRIC: [&str; 2] = ["203.0.113.9:5000", "203.0.113.9:6000"];
    const BOTH: nat::Guessing = nat::Guessing { next_ports: true, birthday: true };

    fn keys() -> KeyRing {
        RootKeys::new([1; 32], []).ring(Scope::Cdx)
    }

    /// Whom both ports of CDX see there.
    fn network(seen: [&str; 2], claimed: Mapping) -> NetworkFacts {
        let cdx = ["192.0.2.9:3479", "192.0.2.9:3480"];
        let observed: Vec<_> = seen
            .iter()
            .zip(cdx)
            .filter(|(seen, _)| !seen.is_empty())
            .map(|(seen, cdx)| Observation {
                observed: seen.parse().unwrap(),
                cdx: cdx.parse().unwrap(),
                at: NOW,
            })
            .map(|seen| seen.seal(&keys(), &mut TestRng(1)))
            .collect();
        let claimed = Claims { mapping: claimed, ..Claims::default() };
        NetworkFacts::read(&ConnectionData { observed, claimed }, &keys(), NOW).unwrap()
    }

    fn birthdays(one: [&str; 2], other: [&str; 2]) -> [Option<Birthday>; 2] {
        let both = [one, other].map(|seen| network(seen, Mapping::Unknown));
        parts(BOTH, both.each_ref()).map(|part| part.birthday)
    }

    #[test]
    fn nat_3_the_side_with_many_ports_opens_sockets_and_the_other_one_tries_ports() {
        let sockets = Birthday::Sockets { towards: CONE[0].parse().unwrap() };
        let ports = Birthday::Ports { of: "203.0.113.9".parse().unwrap() };
        assert_eq!(birthdays(SYMMETRIC, CONE), [Some(sockets), Some(ports)]);
        assert_eq!(birthdays(CONE, SYMMETRIC), [Some(ports), Some(sockets)]);
    }

    #[test]
    fn nat_3_where_guessing_cannot_win_or_is_not_needed_nobody_guesses() {
        for (one, other) in [(CONE, CONE), (SYMMETRIC, SYMMETRIC), (["[2001:db8::1]:9"; 2], SYMMETRIC)] {
            assert_eq!(birthdays(one, other), [None, None], "{one:?} {other:?}");
        }
    }

    #[test]
    fn nat_3_nobody_guesses_at_an_address_for_a_claim() {
        let claims = network([CONE[0], ""], Mapping::AddressAndPortDependent);
        let cone = network(CONE, Mapping::Unknown);
        assert_eq!(parts(BOTH, [&claims, &cone]).map(|part| part.birthday), [None, None]);
    }

    #[test]
    fn nat_3_what_the_policy_does_not_allow_nobody_guesses() {
        let (hard, easy) = (network(SYMMETRIC, Mapping::Unknown), network(CONE, Mapping::Unknown));
        let nothing = nat::Guessing { next_ports: false, birthday: false };
        let none = Guessing { next_ports: false, birthday: None };
        assert_eq!(parts(nothing, [&hard, &easy]), [none, none]);
        assert_eq!(parts(nat::Guessing::default(), [&hard, &easy]), [Guessing::default(); 2]);
        assert_eq!(easy.external().unwrap().to_string(), CONE[0]);
    }
}
