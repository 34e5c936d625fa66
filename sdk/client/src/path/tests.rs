use core::time::Duration;
use std::collections::{BTreeMap, HashMap, HashSet};

use rand::SeedableRng as _;

use super::*;
use crate::limits;

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
    PathSearch::new(checks, side, [], Pace::hurried(limits::PATIENCE), now, StdRng::seed_from_u64(seed))
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
                let (to, datagram) = match effect {
                    Effect::Send { to, datagram } => (to, datagram),
                    // Not yet an outcome.
                    Effect::Chosen(_) => continue,
                    outcome @ (Effect::Selected(_) | Effect::InDoubt | Effect::NeedRelay) => {
                        host.found.push(outcome);
                        continue;
                    }
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

    /// Runs until each has an outcome.
    fn find(&mut self) {
        self.perform();
        while self.hosts.iter().any(|host| host.found.is_empty()) && self.step() {
            assert!(self.count < 500, "checks are paced");
            self.perform();
        }
    }

    /// Runs for so long.
    fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end && self.step() {}
        self.perform();
    }

    /// Runs to the end: whether each has found a path, and how long it took.
    fn run(mut self) -> ([bool; 2], Duration) {
        let begun = self.now;
        self.find();
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
    lab.find();
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
    assert_eq!(search.pairs.iter().count(), limits::CANDIDATES);
}

/// The gateway forgets its mappings, or the host has got another one: what it sends comes from elsewhere.
fn remap(host: &mut Host, ip: u8) {
    host.ip = ip;
    host.mappings.clear();
    host.sent_to.clear();
}

#[test]
fn nat_5_a_path_that_was_found_is_asked_again_and_again_and_stays() {
    let mut lab = Lab::new(Nat::PortRestricted, Nat::PortRestricted);
    lab.find();
    let (before, found) = (lab.count, lab.hosts.each_ref().map(|host| host.found.clone()));
    lab.run_for(Duration::from_mins(5));
    assert_eq!(lab.hosts.each_ref().map(|host| host.found.clone()), found, "nothing has happened");
    let asked = lab.count - before;
    // Question and answer of both sides, every five seconds or so.
    assert!((180..320).contains(&asked), "{asked} in five minutes");
}

#[test]
fn nat_5_a_path_that_carries_nothing_is_asked_as_seldom_as_is_wanted_and_no_consent_runs_out() {
    let mut lab = Lab::new(Nat::PortRestricted, Nat::PortRestricted);
    lab.find();
    lab.run_for(limits::CONSENT * 2);
    let (found, now) = (lab.hosts.each_ref().map(|host| host.found.clone()), lab.now);
    for host in &mut lab.hosts {
        host.search.ask_every(limits::KEEP_ALIVE_MAX, now);
    }
    let (before, end) = (lab.count, lab.now + Duration::from_mins(5));
    while lab.now < end && lab.step() {
        for host in &lab.hosts {
            let consent = lab.now - host.search.last_answer().unwrap();
            assert!(consent < Duration::from_secs(30), "{consent:?}");
        }
    }
    let asked = lab.count - before;
    assert!((40..=72).contains(&asked), "{asked} in five minutes");

    let (before, now) = (lab.count, lab.now);
    for host in &mut lab.hosts {
        host.search.ask_every(limits::CONSENT, now);
    }
    lab.run_for(limits::CONSENT * 6 / 5 + LATENCY * 2);
    assert!(lab.count >= before + 4, "who is used again is asked soon");
    assert_eq!(lab.hosts.each_ref().map(|host| host.found.clone()), found, "nothing has happened");
}

#[test]
fn nat_5_a_side_that_is_mapped_anew_is_found_by_its_own_checks() {
    for moves in [0, 1] {
        for other in [Nat::Public, Nat::Restricted] {
            let mut lab = Lab::new(other, other);
            lab.hosts[moves].nat = Nat::PortRestricted;
            lab.find();
            remap(&mut lab.hosts[moves], 7);
            // The filter of the other side knows the new address only where it lets in everybody.
            lab.hosts[1 - moves].nat = Nat::Public;
            lab.run_for(Duration::from_secs(15));
            let now_at = SocketAddr::from(([198, 51, 100, 7], 5_000));
            let last = lab.hosts[1 - moves].found.last();
            assert_eq!(last, Some(&Effect::Selected(now_at)), "{moves} {other:?}");
        }
    }
}

#[test]
fn nat_5_what_answers_no_more_is_in_doubt_and_then_the_relay_is_needed() {
    let mut lab = Lab::new(Nat::PortRestricted, Nat::PortRestricted);
    lab.find();
    for host in &mut lab.hosts {
        host.found.clear();
        // Whatever is sent to it is lost.
        host.sent_to.clear();
        host.nat = Nat::Symmetric;
    }
    remap(&mut lab.hosts[0], 8);
    remap(&mut lab.hosts[1], 9);
    lab.run_for(Duration::from_secs(15));
    for host in &lab.hosts {
        assert_eq!(host.found, [Effect::InDoubt, Effect::NeedRelay]);
    }
}

#[test]
fn nat_5_a_side_that_says_where_it_is_is_found_there() {
    let mut lab = Lab::new(Nat::PortRestricted, Nat::PortRestricted);
    lab.find();
    remap(&mut lab.hosts[1], 7);
    let elsewhere = lab.hosts[1].map(cdx());
    let now = lab.now;
    lab.hosts[1].search.search_again(Pace::hurried(limits::PATIENCE), now);
    lab.hosts[0].search.move_peer([elsewhere], now);
    lab.run_for(Duration::from_secs(1));
    assert_eq!(lab.hosts[0].found.last(), Some(&Effect::Selected(elsewhere)));
    let back = SocketAddr::from(([198, 51, 100, 1], 5_000));
    assert_eq!(lab.hosts[1].found.last(), Some(&Effect::Selected(back)));
}

#[test]
fn nat_5_beside_a_path_that_carries_a_hole_that_opens_later_is_found_and_little_is_sent() {
    let mut lab = Lab::new(Nat::PortRestricted, Nat::Symmetric);
    let now = lab.now;
    for host in &mut lab.hosts {
        host.search.search_again(Pace::beside(), now);
    }
    lab.run_for(Duration::from_mins(1));
    assert!(lab.count < 60, "{} checks in a minute", lab.count);
    assert!(lab.hosts.iter().all(|host| host.found.is_empty()), "nor does it give up");
    lab.hosts[0].nat = Nat::Restricted;
    lab.run_for(Duration::from_secs(12));
    assert!(lab.hosts.iter().all(|host| matches!(host.found[..], [Effect::Selected(_)])));
}

#[test]
fn nat_5_a_choice_that_is_not_answered_is_given_up_for_another_address_that_works() {
    let start = now();
    let mut search = search(Side::Inviter, "key", start);
    let [closed, open] = [7, 8].map(|port| SocketAddr::from(([192, 0, 2, 7], port)));
    search.add_candidate(closed, start);
    search.add_candidate(open, start);
    let peer = Checks::new("key".to_owned(), "s:callee".to_owned(), "s:inviter".to_owned());
    let (mut at, mut selected, mut chosen) = (start, None, Vec::new());
    while selected.is_none() {
        search.handle_timeout(at);
        while let Some(effect) = search.poll_effect() {
            match effect {
                Effect::Selected(addr) => selected = Some(addr),
                Effect::Send { to, datagram } => {
                    let Some(Check::Request { transaction, nominates }) = peer.read(&datagram) else {
                        continue;
                    };
                    // The first answers one check, and nothing more.
                    if to == open || !nominates {
                        let answer = peer.success(transaction, to).unwrap();
                        search.handle_datagram(to, &answer, at).unwrap();
                    }
                }
                Effect::Chosen(addr) => chosen.push(addr),
                Effect::InDoubt | Effect::NeedRelay => panic!("{effect:?}"),
            }
        }
        assert!(at - start < limits::PATIENCE);
        at = search.poll_timeout().unwrap().max(at);
    }
    assert_eq!((selected, chosen), (Some(open), vec![closed, open]));
}

#[test]
fn nat_4_an_answer_to_a_guess_names_an_address_and_proves_nothing_by_itself() {
    let start = now();
    let mut search = search(Side::Inviter, "key", start);
    let guessed = SocketAddr::from(([192, 0, 2, 7], 40_000));
    let peer = Checks::new("key".to_owned(), "s:callee".to_owned(), "s:inviter".to_owned());
    let Some(Check::Request { transaction, .. }) = peer.read(&search.guess().unwrap()) else {
        panic!("it asks")
    };
    let answer = peer.success(transaction, guessed).unwrap();
    search.handle_datagram(guessed, &answer, start).unwrap();
    search.handle_timeout(start);
    let Some(Effect::Send { to, datagram }) = search.poll_effect() else { panic!("it asks") };
    let Some(Check::Request { transaction: own, nominates }) = peer.read(&datagram) else {
        panic!("a check")
    };
    assert_eq!((to, nominates), (guessed, false));
    assert_ne!(own, transaction, "which nobody else has seen");
}
