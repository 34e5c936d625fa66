//! Who a device is on the network: what CDX observed, beside what the device claims (NAT-1, NAT-3).
//!
//! An observation counts before a claim. A claim fills in only what was not observed, and is marked
//! as a claim in the question to the NAT policy. What one address of CDX cannot tell stays unknown.

use alloc::{string::String, vec::Vec};
use core::net::{IpAddr, SocketAddr};

use data_encoding::HEXLOWER;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use switchhook_protocol::{
    connection_data::{Candidate, CandidateKind, ConnectionData, Filtering, Mapping},
    error::ErrorCode,
    id::SessionId,
    peer::SessionKey,
    time::Timestamp,
};

use crate::{
    observation::{InvalidObservation, Observation, judge},
    policy::nat::{Fact, Origin, Party},
    relay_choice::Place,
    seal::{KeyRing, Purpose},
    subscriber::Subscriber,
};

/// Most addresses of its own that a device may offer: each costs its peers a check.
pub const MAX_HOST_CANDIDATES: usize = 8;

/// Most observations that count: one for each port of CDX, over IPv4 and IPv6.
pub const MAX_OBSERVATIONS: usize = 4;

/// RFC 8445 §5.1.2.2: an address seen from outside is tried after the device's own.
const REFLEXIVE_PRIORITY: u32 = 100 << 24;

/// What the host takes for true about a device's network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkFacts {
    mapping: (Mapping, bool),
    filtering: (Filtering, bool),
    /// Where it was seen last, of each family; the one that mapping and network are known of first.
    external: Vec<SocketAddr>,
    host_candidates: Vec<Candidate>,
    region: Option<String>,
    observations: Vec<Observation>,
}

impl NetworkFacts {
    /// Reads what a client sent: opens its observations, bounds its claims.
    ///
    /// An observation that is too old does not count; one that the host did not seal is refused.
    pub fn read(data: &ConnectionData, cdx: &KeyRing, now: Timestamp) -> Result<Self, ErrorCode> {
        if data.observed.len() > MAX_OBSERVATIONS || data.claimed.host_candidates.len() > MAX_HOST_CANDIDATES
        {
            return Err(ErrorCode::TooLarge);
        }
        let mut observations = Vec::new();
        for sealed in &data.observed {
            match Observation::open(cdx, sealed, now) {
                Ok(observation) => observations.push(observation),
                Err(InvalidObservation::Expired) => {}
                Err(InvalidObservation::Seal(_)) => return Err(ErrorCode::BadObservation),
            }
        }
        let usable = |candidate: &&Candidate| {
            let ip = candidate.address.ip();
            candidate.kind == CandidateKind::Host
                && candidate.address.port() != 0
                && !ip.is_unspecified()
                && !ip.is_multicast()
        };
        let host_candidates: Vec<_> = data.claimed.host_candidates.iter().filter(usable).cloned().collect();
        // Each family has a NAT of its own, or none. IPv4's is the one that is in the way.
        let of_family = |v4: bool| {
            let of_family: Vec<_> =
                observations.iter().copied().filter(|seen| seen.observed.is_ipv4() == v4).collect();
            judge(&of_family, host_candidates.iter().map(|own| own.address))
        };
        let both = [of_family(true), of_family(false)];
        let external: Vec<_> = both.iter().filter_map(|seen| seen.external).collect();
        let [v4, v6] = both;
        let mapping = match v4.external.map_or(v6.mapping, |_| v4.mapping) {
            Mapping::Unknown => (data.claimed.mapping, false),
            observed @ (Mapping::None
            | Mapping::EndpointIndependent
            | Mapping::AddressDependent
            | Mapping::AddressAndPortDependent) => (observed, true),
        };
        Ok(Self {
            mapping,
            filtering: (data.claimed.filtering, false),
            external,
            host_candidates,
            region: data.claimed.region.clone().filter(|region| region.len() <= 64),
            observations,
        })
    }

    /// This side, in the NAT policy's words.
    pub fn party(&self, keys: &KeyRing) -> Party {
        Party {
            mapping: fact(self.mapping),
            filtering: fact(self.filtering),
            network: self.external.first().map(|external| network_name(*external, keys)).unwrap_or_default(),
            region: self.region.clone().unwrap_or_default(),
            has_host_address: !self.host_candidates.is_empty(),
            ipv6: self.candidates().iter().any(|candidate| candidate.address.is_ipv6()),
        }
    }

    /// Where it says it is, if it does.
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// Where it is, as far as that is known (REL-1).
    pub fn place(&self) -> Place {
        let has = |family: fn(&SocketAddr) -> bool| {
            let observed = self.observations.iter().map(|seen| &seen.observed);
            let own = self.host_candidates.iter().map(|candidate| &candidate.address);
            observed.chain(own).any(family)
        };
        Place {
            region: self.region.clone(),
            observed: self.external.iter().map(SocketAddr::ip).collect(),
            ipv4: has(SocketAddr::is_ipv4),
            ipv6: has(SocketAddr::is_ipv6),
        }
    }

    /// What CDX saw of it.
    pub fn observations(&self) -> &[Observation] {
        &self.observations
    }

    /// How its gateway maps, where CDX has seen it; a claim is not enough to spend others' packets on.
    pub const fn observed_mapping(&self) -> Option<Mapping> {
        if self.mapping.1 { Some(self.mapping.0) } else { None }
    }

    /// Where CDX has seen it last, in the family that its mapping is known of.
    pub fn external(&self) -> Option<SocketAddr> {
        self.external.first().copied()
    }

    /// Where this address of CDX sees it, if that is known: it was asked, or the mapping is the same for everybody.
    pub fn seen_by(&self, cdx: SocketAddr) -> Option<Observation> {
        let same = |seen: &&Observation| seen.observed.is_ipv4() == cdx.is_ipv4();
        let seen = self.observations.iter().filter(same);
        let asked = seen.clone().filter(|seen| seen.cdx == cdx).max_by_key(|seen| seen.at);
        let for_all = matches!(self.mapping, (Mapping::None | Mapping::EndpointIndependent, true));
        asked.or_else(|| seen.filter(|_| for_all).max_by_key(|seen| seen.at)).copied()
    }

    /// Where its peer may try to reach it, best first.
    pub fn candidates(&self) -> Vec<Candidate> {
        let mut candidates = self.host_candidates.clone();
        let own = &self.host_candidates;
        let is_new = |address: &&SocketAddr| own.iter().all(|candidate| candidate.address != **address);
        candidates.extend(self.external.iter().filter(is_new).map(|address| Candidate {
            kind: CandidateKind::Reflexive,
            address: *address,
            priority: REFLEXIVE_PRIORITY,
        }));
        candidates.sort_by_key(|candidate| core::cmp::Reverse(candidate.priority));
        candidates
    }
}

/// The inviter's side of an invite, sealed into it and opened on accept: no row holds an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviterSide {
    /// In this session alone.
    pub session: SessionId,
    /// Who it is on the network.
    pub network: NetworkFacts,
    /// Its key for the session's datagrams.
    pub session_key: SessionKey,
}

impl InviterSide {
    /// Seals it for the invited.
    pub fn seal(&self, keys: &KeyRing, rng: &mut impl CryptoRng) -> String {
        keys.seal(Purpose::PeerConnectionData, self, rng)
    }

    /// Opens what an invited device of `session` echoes.
    pub fn open(keys: &KeyRing, sealed: &str, session: &SessionId) -> Result<Self, ErrorCode> {
        let side: Self = keys.open(Purpose::PeerConnectionData, sealed).or(Err(ErrorCode::BadTicket))?;
        if side.session == *session { Ok(side) } else { Err(ErrorCode::BadTicket) }
    }
}

const fn fact<T: Copy>((value, observed): (T, bool)) -> Fact<T> {
    Fact { value, origin: if observed { Origin::Observed } else { Origin::Claimed } }
}

/// Names the networks of two sides, in either order, if both are known.
pub fn name_of_pair(a: &Party, b: &Party) -> Option<String> {
    let known = !a.network.is_empty() && !b.network.is_empty();
    let (first, second) = (a.network.as_str().min(&b.network), a.network.as_str().max(&b.network));
    known.then(|| [first, second].join("-"))
}

/// A keyed hash of what one subscriber has, an IPv4 address or an IPv6 network of 64 bits: the policy can compare
/// networks and learns no address.
fn network_name(external: SocketAddr, keys: &KeyRing) -> String {
    let ip = match Subscriber::from(external.ip()).network() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let (_, mac) = keys.mac("network", &[&ip.octets()]);
    let (short, _) = mac.split_at(8);
    HEXLOWER.encode(short)
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use core::time::Duration;

    use switchhook_protocol::connection_data::Claims;

    use super::*;
    use crate::{
        seal::{RootKeys, Scope},
        testing::TestRng,
    };

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn keys() -> KeyRing {
        RootKeys::new([1; 32], []).ring(Scope::Cdx)
    }

    fn seen(observed: &str, cdx: &str) -> String {
        let observation =
            Observation { observed: observed.parse().unwrap(), cdx: cdx.parse().unwrap(), at: NOW };
        observation.seal(&keys(), &mut TestRng(1))
    }

    fn data(observed: &[(&str, &str)], claimed: Claims) -> ConnectionData {
        ConnectionData { observed: observed.iter().map(|(from, at)| seen(from, at)).collect(), claimed }
    }

    const SYMMETRIC: [(&str, &str); 2] =
        [("192.0.2.1:1000", "198.51.100.1:3478"), ("192.0.2.1:1001", "198.51.100.1:3479")];

    #[test]
    fn nat_1_an_observation_counts_before_a_claim() {
        let open = Claims { mapping: Mapping::None, filtering: Filtering::None, ..Claims::default() };
        let facts = NetworkFacts::read(&data(&SYMMETRIC, open), &keys(), NOW).unwrap();
        let party = facts.party(&keys());
        assert_eq!(party.mapping, Fact::observed(Mapping::AddressAndPortDependent));
        assert_eq!(party.filtering, Fact::claimed(Filtering::None));
    }

    #[test]
    fn nat_1_filtering_is_unknown_with_one_address_of_cdx() {
        let facts = NetworkFacts::read(&data(&SYMMETRIC, Claims::default()), &keys(), NOW).unwrap();
        assert_eq!(facts.party(&keys()).filtering.value, Filtering::Unknown);
    }

    #[test]
    fn an_observation_of_another_maker_is_refused_and_an_old_one_does_not_count() {
        let mut forged = data(&SYMMETRIC, Claims::default());
        forged.observed[0].replace_range(40..41, "_");
        assert_eq!(NetworkFacts::read(&forged, &keys(), NOW), Err(ErrorCode::BadObservation));

        let later = NOW.after(Duration::from_mins(11));
        let facts = NetworkFacts::read(&data(&SYMMETRIC, Claims::default()), &keys(), later).unwrap();
        assert_eq!(facts.party(&keys()).mapping, Fact::claimed(Mapping::Unknown));
        assert_eq!(facts.candidates(), vec![]);
    }

    #[test]
    fn two_devices_behind_one_gateway_have_one_network_name() {
        let one = NetworkFacts::read(&data(&SYMMETRIC, Claims::default()), &keys(), NOW).unwrap();
        let other = [("192.0.2.1:77", "198.51.100.1:3478")];
        let other = NetworkFacts::read(&data(&other, Claims::default()), &keys(), NOW).unwrap();
        let away = [("192.0.2.2:77", "198.51.100.1:3478")];
        let away = NetworkFacts::read(&data(&away, Claims::default()), &keys(), NOW).unwrap();
        assert_eq!(one.party(&keys()).network, other.party(&keys()).network);
        assert_ne!(one.party(&keys()).network, away.party(&keys()).network);
    }

    #[test]
    fn nat_6_two_devices_of_one_ipv6_network_have_one_network_name() {
        let name = |observed| {
            let seen = data(&[(observed, "[2001:db8:ffff::1]:3478")], Claims::default());
            NetworkFacts::read(&seen, &keys(), NOW).unwrap().party(&keys()).network
        };
        assert_eq!(name("[2001:db8:0:1::5]:1000"), name("[2001:db8:0:1:aaaa::7]:2000"));
        assert_ne!(name("[2001:db8:0:1::5]:1000"), name("[2001:db8:0:2::5]:1000"));
    }

    #[test]
    fn addresses_that_nobody_can_have_are_dropped() {
        let own = |address: &str| Candidate {
            kind: CandidateKind::Host,
            address: address.parse().unwrap(),
            priority: 1,
        };
        let claimed = Claims {
            host_candidates: vec![own("0.0.0.0:1"), own("224.0.0.1:1"), own("10.0.0.1:0"), own("10.0.0.1:9")],
            ..Claims::default()
        };
        let facts = NetworkFacts::read(&data(&[], claimed), &keys(), NOW).unwrap();
        assert_eq!(facts.candidates(), vec![own("10.0.0.1:9")]);
    }
}
