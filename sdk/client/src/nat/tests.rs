//! The machines of a survey against NATs of every kind, on a clock that goes when nothing happens.

use core::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use rand::{SeedableRng as _, rngs::StdRng};
use stun_types::{
    attribute::{AttributeType, RawAttribute, XorMappedAddress},
    message::{Message, MessageClass, MessageWrite as _, MessageWriteExt as _},
};

use super::{
    behaviour::Behaviour,
    known::{Networks, addresses},
    life::Search,
    question::{Arrived, Transmit},
    sockets::{Asking, now},
    *,
};
use crate::{limits, stun::begin};

const OWN: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 5));
const OUTSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));
const CDX: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2)];
const PORTS: [u16; 2] = [3_479, 3_480];

/// CDX, and a NAT before the client.
struct World {
    nat: (Mapping, Filtering),
    life: Duration,
    /// CDX has its second address, too.
    has_two: bool,
    /// CDX answers to another port where asked to.
    redirects: bool,
    /// So many of all datagrams are lost, the first ones.
    lost: usize,
    sent: usize,
    mappings: BTreeMap<(usize, Option<(IpAddr, u16)>), Mapped>,
}

#[derive(Debug, Clone)]
struct Mapped {
    port: u16,
    used_for: BTreeSet<SocketAddr>,
    used: Instant,
}

/// A datagram of CDX: to which outer port, from where.
type Sent = (u16, SocketAddr, Vec<u8>);

impl World {
    fn new(mapping: Mapping, filtering: Filtering) -> Self {
        Self {
            nat: (mapping, filtering),
            life: Duration::from_mins(2),
            has_two: true,
            redirects: true,
            lost: 0,
            sent: 0,
            mappings: BTreeMap::new(),
        }
    }

    fn outer(&self) -> IpAddr {
        if self.nat.0 == Mapping::None { OWN } else { OUTSIDE }
    }

    /// What a machine asks comes through the NAT, and is answered.
    fn transmit(&mut self, Transmit { socket, to, datagram }: Transmit, now: Instant) -> Option<Sent> {
        self.sent += 1;
        let scope = match self.nat.0 {
            Mapping::AddressDependent => Some((to.ip(), 0)),
            Mapping::AddressAndPortDependent => Some((to.ip(), to.port())),
            Mapping::Unknown => return None,
            Mapping::None | Mapping::EndpointIndependent | Mapping::PortIndependent => None,
        };
        let life = self.life;
        self.mappings.retain(|_, mapped| now - mapped.used < life);
        let fresh = 40_000 + u16::try_from(self.sent).unwrap();
        let fresh = Mapped { port: fresh, used_for: BTreeSet::new(), used: now };
        let mapped = self.mappings.entry((socket, scope)).or_insert(fresh);
        mapped.used_for.insert(to);
        mapped.used = now;
        let port = mapped.port;
        let from = SocketAddr::new(self.outer(), port);
        if self.sent <= self.lost { None } else { self.answer(to, from, &datagram) }
    }

    fn answer(&self, at: SocketAddr, from: SocketAddr, request: &[u8]) -> Option<Sent> {
        let request = Message::from_bytes(request).unwrap();
        let is_there = at.ip() == CDX[0] || (self.has_two && at.ip() == CDX[1]);
        let raw = |kind| request.raw_attribute(AttributeType::new(kind)).map(|raw| raw.value.to_vec());
        let change = raw(0x0003).map_or(0, |flags| flags[3]);
        let port = raw(0x0027).map_or_else(|| from.port(), |port| u16::from_be_bytes([port[0], port[1]]));
        let transaction = request.transaction_id();
        if (change & 4 != 0 && !self.has_two) || (port != from.port() && !self.redirects) {
            return Some((from.port(), at, begin(MessageClass::Error, transaction.into()).finish()));
        }
        let other =
            |flag, of: [u16; 2], is: u16| if change & flag == 0 { is } else { of[usize::from(is == of[0])] };
        let ip = if change & 4 == 0 { at.ip() } else { CDX[usize::from(at.ip() == CDX[0])].into() };
        let answering = SocketAddr::new(ip, other(2, PORTS, at.port()));
        let mut answer = begin(MessageClass::Success, transaction.into());
        answer.add_attribute(&XorMappedAddress::new(from, transaction)).unwrap();
        if self.has_two {
            let mut value = vec![0, 1];
            value.extend(other(!0, PORTS, at.port()).to_be_bytes());
            value.extend(CDX[usize::from(at.ip() == CDX[0])].octets());
            answer.add_attribute(&RawAttribute::new(AttributeType::new(0x802C), &value)).unwrap();
        }
        is_there.then(|| (port, answering, answer.finish()))
    }

    /// At which socket a datagram comes in, if it is let in.
    fn inbound(&self, port: u16, from: SocketAddr, now: Instant) -> Option<usize> {
        let alive = |mapped: &&Mapped| mapped.port == port && now - mapped.used < self.life;
        let (at, mapped) = self.mappings.iter().find(|(_, mapped)| alive(mapped))?;
        let lets_in = match self.nat.1 {
            Filtering::EndpointIndependent | Filtering::PortIndependent | Filtering::Unknown => true,
            Filtering::AddressDependent => mapped.used_for.iter().any(|used| used.ip() == from.ip()),
            Filtering::AddressAndPortDependent => mapped.used_for.contains(&from),
        };
        lets_in.then_some(at.0)
    }

    /// Has a machine ask to its end; how long that took.
    fn ask(&mut self, asking: &mut impl Asking, begun: Instant) -> Duration {
        let mut now = begun;
        asking.handle_timeout(now);
        while asking.poll_timeout().is_some() {
            while let Some(transmit) = asking.poll_transmit() {
                let Some((port, from, datagram)) = self.transmit(transmit, now) else { continue };
                if let Some(socket) = self.inbound(port, from, now) {
                    asking.handle_datagram(Arrived { socket, from, datagram: &datagram }, now);
                }
            }
            // What has come in may have ended it, or made it ask at once.
            now = asking.poll_timeout().map_or(now, |next| next.max(now));
            asking.handle_timeout(now);
        }
        now - begun
    }

    fn look(&mut self) -> (Nat, Duration) {
        let begun = now();
        let mut behaviour = Behaviour::new(cdx(), begun, StdRng::seed_from_u64(1));
        let took = self.ask(&mut behaviour, begun);
        let own: Vec<_> = (40_000..40_100).map(|port| SocketAddr::new(OWN, port)).collect();
        (behaviour.found(&own), took)
    }

    fn measure(&mut self) -> (Option<MappingLife>, Duration) {
        let begun = now();
        let mut search = Search::new(cdx()[0], begun, StdRng::seed_from_u64(1));
        let took = self.ask(&mut search, begun);
        (search.found(), took)
    }
}

fn cdx() -> [SocketAddr; 2] {
    PORTS.map(|port| SocketAddr::new(CDX[0].into(), port))
}

const MAPPINGS: [Mapping; 4] = [
    Mapping::None,
    Mapping::EndpointIndependent,
    Mapping::AddressDependent,
    Mapping::AddressAndPortDependent,
];

const FILTERINGS: [Filtering; 3] =
    [Filtering::EndpointIndependent, Filtering::AddressDependent, Filtering::AddressAndPortDependent];

/// NAT-1.client
#[test]
fn nat_1_with_two_addresses_of_cdx_mapping_and_filtering_are_found_whatever_they_are() {
    for mapping in MAPPINGS {
        for filtering in FILTERINGS {
            let mut world = World::new(mapping, filtering);
            let (nat, took) = world.look();
            assert_eq!((nat.mapping, nat.filtering), (mapping, filtering));
            assert_eq!(nat.external, Some(world.outer()));
            assert!(took <= limits::CDX_RTO * 15 && world.sent <= 13, "{} in {took:?}", world.sent);
        }
    }
}

/// NAT-1.client
#[test]
fn nat_1_with_one_address_of_cdx_what_it_cannot_tell_is_said_to_be_open() {
    for mapping in MAPPINGS {
        for filtering in FILTERINGS {
            let (nat, _) = World { has_two: false, ..World::new(mapping, filtering) }.look();
            let cone = matches!(mapping, Mapping::EndpointIndependent | Mapping::AddressDependent);
            let left_open = if cone { Mapping::PortIndependent } else { mapping };
            assert_eq!(nat.mapping, left_open);
            let open = matches!(filtering, Filtering::EndpointIndependent | Filtering::AddressDependent);
            let left_open = if open { Filtering::PortIndependent } else { filtering };
            assert_eq!(nat.filtering, left_open);
        }
    }
}

/// NAT-1.client
#[test]
fn nat_1_lost_datagrams_delay_what_is_found_and_change_nothing() {
    for lost in 0..6 {
        let mut world =
            World { lost, ..World::new(Mapping::EndpointIndependent, Filtering::AddressDependent) };
        let (nat, _) = world.look();
        assert_eq!(nat.kind(), NatKind::RestrictedCone, "{lost} lost");
    }
}

/// NAT-1.client
#[test]
fn nat_1_without_an_answer_the_network_is_closed_and_asked_within_a_bound() {
    let mut world = World::new(Mapping::Unknown, Filtering::Unknown);
    let (nat, took) = world.look();
    assert_eq!((nat, nat.kind()), (Nat::CLOSED, NatKind::Closed));
    assert_eq!((world.sent, took), (12, limits::CDX_RTO * 15));
}

#[test]
fn nat_1_the_old_names_say_no_more_than_is_known() {
    let kind = |mapping, filtering| Nat { external: Some(OUTSIDE), mapping, filtering }.kind();
    let cone = Mapping::EndpointIndependent;
    assert_eq!(kind(Mapping::None, Filtering::EndpointIndependent), NatKind::Open);
    assert_eq!(kind(Mapping::None, Filtering::AddressAndPortDependent), NatKind::PortRestrictedCone);
    assert_eq!(kind(cone, Filtering::EndpointIndependent), NatKind::FullCone);
    assert_eq!(kind(cone, Filtering::PortIndependent), NatKind::FullOrRestrictedCone);
    assert_eq!(
        kind(Mapping::PortIndependent, Filtering::AddressAndPortDependent),
        NatKind::PortRestrictedCone
    );
    assert_eq!(kind(Mapping::AddressDependent, Filtering::EndpointIndependent), NatKind::Symmetric);
    assert_eq!(kind(cone, Filtering::Unknown), NatKind::Unknown);
    assert_eq!(kind(Mapping::Unknown, Filtering::EndpointIndependent), NatKind::Unknown);
}

/// NAT-5
#[test]
fn nat_5_the_life_of_a_mapping_is_found_between_two_steps_within_a_bound() {
    let steps = limits::LIFE_STEPS.map(|step| step.as_secs());
    for (life, at_least, less_than) in [
        (4, 0, Some(steps[0])),
        (10, steps[0], Some(steps[1])),
        (13, steps[1], Some(steps[2])),
        (30, steps[3], Some(steps[4])),
        (40, steps[4], None),
        (300, steps[4], None),
    ] {
        for mapping in MAPPINGS {
            let kind = World::new(mapping, Filtering::AddressAndPortDependent);
            let mut world = World { life: Duration::from_secs(life), ..kind };
            let (found, took) = world.measure();
            let found = found.unwrap();
            assert_eq!(
                (found.at_least.as_secs(), found.less_than.map(|life| life.as_secs())),
                (at_least, less_than)
            );
            let last = less_than.unwrap_or(at_least);
            assert!(took <= Duration::from_secs(last) + limits::CDX_RTO * 15, "{life}: {took:?}");
            assert!(world.sent <= 40, "{} datagrams", world.sent);
        }
    }
}

/// NAT-5
#[test]
fn nat_5_what_is_not_told_is_no_short_life() {
    let silent = World::new(Mapping::Unknown, Filtering::Unknown).measure().0;
    let kind = || World::new(Mapping::EndpointIndependent, Filtering::AddressAndPortDependent);
    let refusing = World { redirects: false, ..kind() }.measure().0;
    assert_eq!([silent, refusing], [None, None]);

    // The network is gone when the first mapping is asked for.
    let begun = now();
    let mut search = Search::new(cdx()[0], begun, StdRng::seed_from_u64(1));
    let mut world = kind();
    search.handle_timeout(begun);
    while let Some(transmit) = search.poll_transmit() {
        let (port, from, datagram) = world.transmit(transmit, begun).unwrap();
        let socket = world.inbound(port, from, begun).unwrap();
        search.handle_datagram(Arrived { socket, from, datagram: &datagram }, begun);
    }
    let mut nowhere = World::new(Mapping::Unknown, Filtering::Unknown);
    nowhere.ask(&mut search, begun + limits::LIFE_STEPS[0]);
    assert_eq!(search.found(), None);
}

/// NAT-5
#[test]
fn nat_5_idle_paths_are_asked_by_the_life_of_the_mapping_with_room_for_a_loss() {
    let pause = |at_least| MappingLife { at_least: Duration::from_secs(at_least), less_than: None }.pause();
    assert_eq!([pause(0), pause(35)], [limits::CONSENT, limits::KEEP_ALIVE_MAX]);
    for at_least in limits::LIFE_STEPS {
        let longest = pause(at_least.as_secs()) * 6 / 5;
        assert!(longest + limits::DOUBT <= at_least, "{at_least:?}");
        assert!(longest + limits::DOUBT <= Duration::from_secs(30), "consent");
    }
}

#[test]
fn nat_5_a_network_is_known_again_by_the_addresses_of_both_sides_of_its_nat() {
    let (networks, start) = (Networks::default(), now());
    let own = [SocketAddr::new(OWN, 1)];
    let nat = |external: IpAddr| Nat {
        external: Some(external),
        mapping: Mapping::EndpointIndependent,
        filtering: Filtering::PortIndependent,
    };
    let life = MappingLife { at_least: limits::LIFE_STEPS[0], less_than: Some(limits::LIFE_STEPS[1]) };
    assert!(!networks.arrive(addresses(&own), nat(OUTSIDE), start));
    assert_eq!(networks.pause(&own), limits::KEEP_ALIVE, "not measured yet");
    networks.measured(life, start);
    assert_eq!(networks.pause(&own), life.pause());
    assert_eq!(networks.pause(&[SocketAddr::new(OUTSIDE, 1)]), limits::KEEP_ALIVE, "elsewhere");

    assert!(!networks.arrive(addresses(&own), nat(OWN), start), "the same address in another LAN");
    assert_eq!(networks.pause(&own), limits::KEEP_ALIVE);
    assert!(networks.arrive(addresses(&own), nat(OUTSIDE), start), "back");
    assert_eq!(networks.pause(&own), life.pause());
    assert!(!networks.arrive(addresses(&own), nat(OUTSIDE), start + limits::LIFE_COUNTS), "too long ago");
}

/// NAT-1.client
#[test]
fn nat_1_what_could_not_be_told_is_not_claimed() {
    let networks = Networks::default();
    let claims = |networks: &Networks| {
        let mut claims = Claims::default();
        networks.claim(&[SocketAddr::new(OWN, 1)], &mut claims);
        (claims.mapping, claims.filtering)
    };
    let nothing = (ClaimedMapping::Unknown, ClaimedFiltering::Unknown);
    assert_eq!(claims(&networks), nothing);
    let mut nat = Nat {
        external: Some(OUTSIDE),
        mapping: Mapping::PortIndependent,
        filtering: Filtering::PortIndependent,
    };
    networks.arrive(vec![OWN], nat, now());
    assert_eq!(claims(&networks), nothing);
    nat.filtering = Filtering::AddressAndPortDependent;
    networks.arrive(vec![OWN], nat, now());
    assert_eq!(claims(&networks), (ClaimedMapping::Unknown, ClaimedFiltering::AddressAndPortDependent));
    networks.arrive(vec![OUTSIDE], nat, now());
    assert_eq!(claims(&networks), nothing, "of another network");
}
