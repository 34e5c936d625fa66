use std::collections::{BTreeMap, HashMap, HashSet};

use rand::SeedableRng as _;

use super::*;

/// How the lab's NATs behave (RFC 4787 §4.1 and §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nat {
    /// No NAT, no filter.
    Public,
    /// One mapping; lets in addresses that were sent to.
    Restricted,
    /// One mapping; lets in addresses and ports that were sent to.
    PortRestricted,
    /// One mapping for each destination; lets in addresses and ports that were sent to.
    Symmetric,
}

/// A client behind its NAT.
struct Host {
    search: PathSearch,
    nat: Nat,
    ip: u8,
    mappings: HashMap<Option<SocketAddr>, u16>,
    sent_to: HashMap<u16, HashSet<SocketAddr>>,
    found: Vec<Effect>,
}

/// Two hosts, and datagrams under way by their time of arrival.
struct Lab {
    hosts: [Host; 2],
    under_way: BTreeMap<(Instant, u64), (SocketAddr, SocketAddr, Vec<u8>)>,
    count: u64,
    now: Instant,
}

const LATENCY: Duration = Duration::from_millis(20);

/// Where CDX stands: each host has sent to it before, and knows its mapping there.
fn cdx() -> SocketAddr {
    SocketAddr::from(([203, 0, 113, 1], 3_479))
}

impl Host {
    fn new(ip: u8, nat: Nat) -> Self {
        let search = search(Side::Inviter, "key", now());
        let mut host =
            Self { search, nat, ip, mappings: HashMap::new(), sent_to: HashMap::new(), found: Vec::new() };
        host.map(cdx());
        host
    }

    /// The outer address of what is sent to `to`.
    fn map(&mut self, to: SocketAddr) -> SocketAddr {
        let key = (self.nat == Nat::Symmetric).then_some(to);
        let fresh = 5_000 + u16::try_from(self.mappings.len()).unwrap();
        let port = *self.mappings.entry(key).or_insert(fresh);
        self.sent_to.entry(port).or_default().insert(to);
        SocketAddr::from(([198, 51, 100, self.ip], port))
    }

    fn lets_in(&self, from: SocketAddr, port: u16) -> bool {
        let Some(sent_to) = self.sent_to.get(&port) else { return false };
        match self.nat {
            Nat::Public => true,
            Nat::Restricted => sent_to.iter().any(|known| known.ip() == from.ip()),
            Nat::PortRestricted | Nat::Symmetric => sent_to.contains(&from),
        }
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn search(side: Side, key: &str, now: Instant) -> PathSearch {
    let (mine, theirs) = match side {
        Side::Inviter => ("s:inviter", "s:callee"),
        Side::Callee => ("s:callee", "s:inviter"),
    };
    let checks = Checks::new(key.to_owned(), mine.to_owned(), theirs.to_owned());
    let seed = u64::from(side == Side::Callee);
    PathSearch::new(checks, side, [], limits::PATIENCE, now, StdRng::seed_from_u64(seed))
}

impl Lab {
    fn new(inviter: Nat, callee: Nat) -> Self {
        Self::with_keys([(inviter, "key"), (callee, "key")])
    }

    fn with_keys([(inviter, inviter_key), (callee, callee_key)]: [(Nat, &str); 2]) -> Self {
        let start = now();
        let mut hosts = [Host::new(1, inviter), Host::new(2, callee)];
        // Each announces what CDX observed.
        let announced = hosts.each_mut().map(|host| host.map(cdx()));
        hosts[0].search = search(Side::Inviter, inviter_key, start);
        hosts[0].search.add_candidate(announced[1], start);
        hosts[1].search = search(Side::Callee, callee_key, start);
        hosts[1].search.add_candidate(announced[0], start);
        Self { hosts, under_way: BTreeMap::new(), count: 0, now: start }
    }

    fn perform(&mut self) {
        for host in &mut self.hosts {
            while let Some(effect) = host.search.poll_effect() {
                let Effect::Send { to, datagram } = effect else {
                    host.found.push(effect);
                    continue;
                };
                let from = host.map(to);
                self.count += 1;
                self.under_way.insert((self.now + LATENCY, self.count), (from, to, datagram));
            }
        }
    }

    /// Goes to the next time at which something happens; false when nothing will.
    fn step(&mut self) -> bool {
        self.perform();
        let arrival = self.under_way.keys().next().map(|(at, _)| *at);
        let timeouts = self.hosts.iter().filter_map(|host| host.search.poll_timeout());
        let Some(next) = timeouts.chain(arrival).min() else { return false };
        self.now = self.now.max(next);
        while let Some(entry) = self.under_way.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let (from, to, datagram) = entry.remove();
            let reached = self
                .hosts
                .iter_mut()
                .find(|host| to.ip() == SocketAddr::from(([198, 51, 100, host.ip], 0)).ip());
            let Some(host) = reached.filter(|host| host.lets_in(from, to.port())) else { continue };
            _ = host.search.handle_datagram(from, &datagram, self.now);
        }
        for host in &mut self.hosts {
            host.search.handle_timeout(self.now);
        }
        true
    }

    /// Runs to the end: whether each has found a path, and how long it took.
    fn run(mut self) -> ([bool; 2], Duration) {
        let begun = self.now;
        while self.step() {
            assert!(self.count < 500, "checks are paced");
        }
        let found = self.hosts.each_ref().map(|host| match host.found[..] {
            [Effect::Selected(_)] => true,
            [Effect::NeedRelay] => false,
            ref other => panic!("not one outcome: {other:?}"),
        });
        (found, self.now - begun)
    }
}

fn meets(inviter: Nat, callee: Nat) -> bool {
    let (found, took) = Lab::new(inviter, callee).run();
    assert_eq!(found[0], found[1], "both or none");
    assert!(!found[0] || took < Duration::from_secs(1), "{took:?}");
    found[0]
}

#[test]
fn inv_5_two_cones_meet() {
    for (one, other) in [
        (Nat::Public, Nat::Public),
        (Nat::Restricted, Nat::Restricted),
        (Nat::PortRestricted, Nat::PortRestricted),
        (Nat::Public, Nat::PortRestricted),
    ] {
        assert!(meets(one, other) && meets(other, one), "{one:?} {other:?}");
    }
}

#[test]
fn inv_5_a_symmetric_nat_meets_by_the_observed_source_whoever_lets_its_address_in() {
    for other in [Nat::Public, Nat::Restricted] {
        assert!(meets(Nat::Symmetric, other) && meets(other, Nat::Symmetric), "{other:?}");
    }
}

#[test]
fn nat_4_where_no_path_exists_patience_ends_with_the_wish_for_a_relay() {
    for (one, other) in [(Nat::Symmetric, Nat::Symmetric), (Nat::Symmetric, Nat::PortRestricted)] {
        let (found, took) = Lab::new(one, other).run();
        assert_eq!(found, [false, false]);
        assert_eq!(took, limits::PATIENCE);
    }
}

#[test]
fn checks_under_another_key_are_neither_answered_nor_believed() {
    let mut lab = Lab::with_keys([(Nat::Public, "key"), (Nat::Public, "other")]);
    while lab.step() {}
    assert!(lab.hosts.iter().all(|host| host.found == [Effect::NeedRelay]));
    let stranger = Checks::new("other".to_owned(), "s:inviter".to_owned(), "s:callee".to_owned());
    let mut search = search(Side::Callee, "key", lab.now);
    let request = stranger.request(1, true).unwrap();
    assert_eq!(search.handle_datagram(cdx(), &request, lab.now), Err(NotACheck));
    assert_eq!(search.handle_datagram(cdx(), b"GET /", lab.now), Err(NotACheck));
    assert_eq!(search.poll_effect(), None);
}

#[test]
fn an_answer_from_another_address_than_was_asked_proves_nothing() {
    let start = now();
    let mut search = search(Side::Inviter, "key", start);
    search.add_candidate(cdx(), start);
    search.handle_timeout(start);
    let Some(Effect::Send { datagram, .. }) = search.poll_effect() else { panic!("it asks") };
    let callee = Checks::new("key".to_owned(), "s:callee".to_owned(), "s:inviter".to_owned());
    let Some(Check::Request { transaction, .. }) = callee.read(&datagram) else { panic!("it is a request") };
    let success = callee.success(transaction, cdx()).unwrap();
    let elsewhere = SocketAddr::from(([192, 0, 2, 66], 66));
    search.handle_datagram(elsewhere, &success, start).unwrap();
    search.handle_timeout(start + limits::CHECK_PACE);
    assert_eq!(search.poll_effect(), None, "nothing is nominated");
}

#[test]
fn addresses_from_a_peer_are_bounded() {
    let start = now();
    let mut search = search(Side::Callee, "key", start);
    let peer = Checks::new("key".to_owned(), "s:inviter".to_owned(), "s:callee".to_owned());
    for port in 1..200 {
        let from = SocketAddr::from(([192, 0, 2, 7], port));
        search.handle_datagram(from, &peer.request(u128::from(port), false).unwrap(), start).unwrap();
    }
    assert_eq!(search.pairs.len(), limits::CANDIDATES);
}
