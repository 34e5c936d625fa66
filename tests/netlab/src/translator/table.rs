//! What a NAT remembers, as a value: datagrams and the time in, translations out.
//!
//! A mapping belongs to an inside socket and as much of the destination as its behaviour looks at. It
//! remembers whom it was used for, which is what filtering asks. Sending renews it, receiving does not
//! (RFC 4787 REQ-6: a stranger must not keep a hole open).

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddrV4},
    time::{Duration, Instant},
};

use rand::RngExt as _;

use crate::nat::{Filtering, Mapping};

/// A NAT in the words of RFC 4787.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behaviour {
    /// When two destinations see one address.
    pub mapping: Mapping,
    /// Who may come in.
    pub filtering: Filtering,
    /// Which ports mappings get.
    pub ports: Ports,
    /// Whether two hosts inside reach each other's outer addresses (§6).
    pub hairpin: bool,
    /// How long a mapping is kept after the last datagram to the outside (§4.3).
    pub life: Duration,
}

/// Which outer port a new mapping gets (RFC 4787 §4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ports {
    /// The inside's own, or the next that is free.
    Preserved,
    /// The one after that of the mapping before.
    Sequential,
    /// Any.
    Random,
}

/// See the module.
#[derive(Debug)]
pub struct Table {
    behaviour: Behaviour,
    outside: Ipv4Addr,
    entries: Vec<Entry>,
    last_port: u16,
    made: u64,
}

/// A mapping that the table has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InUse {
    /// Which one it is of all that were made.
    pub number: u64,
    /// How many datagrams have gone out over it.
    pub sent: u64,
}

#[derive(Debug)]
struct Entry {
    inside: SocketAddrV4,
    /// As much of the destination as the mapping depends on.
    scope: Option<SocketAddrV4>,
    port: u16,
    used_for: BTreeSet<SocketAddrV4>,
    ends: Instant,
    in_use: InUse,
}

/// Ports of mappings; below, services have theirs.
const FIRST_PORT: u16 = 10_000;

impl Table {
    /// An empty table.
    pub const fn new(behaviour: Behaviour, outside: Ipv4Addr) -> Self {
        Self { behaviour, outside, entries: Vec::new(), last_port: 20_000, made: 0 }
    }

    /// The outer address.
    pub const fn outside(&self) -> Ipv4Addr {
        self.outside
    }

    /// Mappings, those that have ended but not been missed included.
    pub fn mappings(&self) -> usize {
        self.entries.len()
    }

    /// The mapping that has this outer port, one that has ended but not been missed included.
    pub fn in_use(&self, port: u16) -> Option<InUse> {
        self.entries.iter().find(|entry| entry.port == port).map(|entry| entry.in_use)
    }

    /// Keeps mappings so long from here on, after the last datagram to the outside.
    pub const fn set_life(&mut self, life: Duration) {
        self.behaviour.life = life;
    }

    /// Takes another outer address, and forgets everything as a router does that dialled in anew.
    pub fn renumber(&mut self, outside: Ipv4Addr) {
        self.outside = outside;
        self.entries.clear();
    }

    /// Whether two hosts inside reach each other's outer addresses.
    pub const fn set_hairpin(&mut self, hairpin: bool) {
        self.behaviour.hairpin = hairpin;
    }

    /// The outer source of a datagram to the outside; nothing if no port is left.
    pub fn outbound(&mut self, from: SocketAddrV4, to: SocketAddrV4, now: Instant) -> Option<SocketAddrV4> {
        self.entries.retain(|entry| entry.ends > now);
        let (scope, ends) = (self.scope(to), now + self.behaviour.life);
        let known = self.entries.iter().position(|entry| entry.inside == from && entry.scope == scope);
        let entry = if let Some(known) = known {
            self.entries.get_mut(known)?
        } else {
            let port = self.free_port(from.port())?;
            self.made += 1;
            let in_use = InUse { number: self.made, sent: 0 };
            self.entries.push(Entry { inside: from, scope, port, used_for: BTreeSet::new(), ends, in_use });
            self.entries.last_mut()?
        };
        entry.in_use.sent += 1;
        entry.ends = ends;
        entry.used_for.insert(to);
        Some(SocketAddrV4::new(self.outside, entry.port))
    }

    /// The inner destination of a datagram from the outside; nothing if it is not let in.
    pub fn inbound(&self, from: SocketAddrV4, port: u16, now: Instant) -> Option<SocketAddrV4> {
        let entry = self.entries.iter().find(|entry| entry.port == port && entry.ends > now)?;
        let mut used_for = entry.used_for.iter();
        let lets_in = match self.behaviour.filtering {
            Filtering::EndpointIndependent => true,
            Filtering::AddressDependent => used_for.any(|used| used.ip() == from.ip()),
            Filtering::AddressAndPortDependent => used_for.any(|used| *used == from),
        };
        lets_in.then_some(entry.inside)
    }

    /// Source and destination of a datagram from inside to an outer address, as if it had gone out
    /// and come back (RFC 4787 REQ-9: the source is the outer one).
    pub fn hairpin(
        &mut self,
        from: SocketAddrV4,
        port: u16,
        now: Instant,
    ) -> Option<(SocketAddrV4, SocketAddrV4)> {
        if !self.behaviour.hairpin {
            return None;
        }
        let source = self.outbound(from, SocketAddrV4::new(self.outside, port), now)?;
        Some((source, self.inbound(source, port, now)?))
    }

    fn scope(&self, to: SocketAddrV4) -> Option<SocketAddrV4> {
        match self.behaviour.mapping {
            Mapping::EndpointIndependent => None,
            Mapping::AddressDependent => Some(SocketAddrV4::new(*to.ip(), 0)),
            Mapping::AddressAndPortDependent => Some(to),
        }
    }

    fn free_port(&mut self, inside: u16) -> Option<u16> {
        let all = FIRST_PORT..=u16::MAX;
        let first = match self.behaviour.ports {
            Ports::Preserved => inside.max(FIRST_PORT),
            Ports::Sequential => self.last_port.checked_add(1).unwrap_or(FIRST_PORT),
            Ports::Random => rand::rng().random_range(all.clone()),
        };
        let taken: BTreeSet<u16> = self.entries.iter().map(|entry| entry.port).collect();
        let port = (first..=u16::MAX).chain(all).find(|port| !taken.contains(port))?;
        self.last_port = port;
        Some(port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Duration = Duration::from_secs(30);
    const HOST: &str = "192.168.1.2:50000";
    const PEER: &str = "198.51.100.1:1000";
    const PEER_OTHER_PORT: &str = "198.51.100.1:1001";
    const STRANGER: &str = "198.51.100.2:1000";

    fn addr(text: &str) -> SocketAddrV4 {
        text.parse().unwrap()
    }

    fn table(mapping: Mapping, filtering: Filtering, ports: Ports) -> Table {
        let behaviour = Behaviour { mapping, filtering, ports, hairpin: false, life: LIFE };
        Table::new(behaviour, Ipv4Addr::new(203, 0, 113, 1))
    }

    #[expect(clippy::disallowed_methods, reason = "any time will do")]
    fn start() -> Instant {
        Instant::now()
    }

    fn out(table: &mut Table, to: &str) -> SocketAddrV4 {
        table.outbound(addr(HOST), addr(to), start()).unwrap()
    }

    #[test]
    fn a_mapping_depends_on_as_much_of_the_destination_as_its_kind_says() {
        let destinations = [PEER, PEER_OTHER_PORT, STRANGER];
        let distinct = |mapping| {
            let mut table = table(mapping, Filtering::EndpointIndependent, Ports::Random);
            destinations.map(|to| out(&mut table, to)).into_iter().collect::<BTreeSet<_>>().len()
        };
        assert_eq!(distinct(Mapping::EndpointIndependent), 1);
        assert_eq!(distinct(Mapping::AddressDependent), 2);
        assert_eq!(distinct(Mapping::AddressAndPortDependent), 3);
    }

    #[test]
    fn who_may_come_in_depends_on_who_was_sent_to() {
        let let_in = |filtering| {
            let mut table = table(Mapping::EndpointIndependent, filtering, Ports::Preserved);
            let port = out(&mut table, PEER).port();
            let comes_in = |from: &str| table.inbound(addr(from), port, start()) == Some(addr(HOST));
            [PEER, PEER_OTHER_PORT, STRANGER].map(comes_in)
        };
        assert_eq!(let_in(Filtering::EndpointIndependent), [true, true, true]);
        assert_eq!(let_in(Filtering::AddressDependent), [true, true, false]);
        assert_eq!(let_in(Filtering::AddressAndPortDependent), [true, false, false]);
    }

    #[test]
    fn ports_are_the_insides_own_or_the_next_or_any() {
        let ports = |ports| {
            let mut table = table(Mapping::AddressAndPortDependent, Filtering::EndpointIndependent, ports);
            [PEER, STRANGER].map(|to| out(&mut table, to).port())
        };
        assert_eq!(ports(Ports::Preserved), [50_000, 50_001]);
        let [first, second] = ports(Ports::Sequential);
        assert_eq!(second, first + 1);
        assert!(ports(Ports::Random).into_iter().all(|port| port >= FIRST_PORT));
    }

    #[test]
    fn sending_keeps_a_mapping_and_receiving_does_not() {
        let mut table = table(Mapping::EndpointIndependent, Filtering::EndpointIndependent, Ports::Preserved);
        let begin = start();
        let port = table.outbound(addr(HOST), addr(PEER), begin).unwrap().port();
        let comes_in = |table: &Table, after| table.inbound(addr(PEER), port, begin + after).is_some();
        assert!(comes_in(&table, Duration::from_secs(29)));
        assert!(!comes_in(&table, LIFE));
        table.outbound(addr(HOST), addr(STRANGER), begin + LIFE / 2).unwrap();
        assert!(comes_in(&table, LIFE));
    }

    #[test]
    fn a_hairpin_comes_back_from_the_outer_address_and_passes_the_filter() {
        let mut table =
            table(Mapping::EndpointIndependent, Filtering::AddressAndPortDependent, Ports::Preserved);
        let other = addr("192.168.1.3:60000");
        let outer = |port| SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 1), port);
        out(&mut table, PEER);
        assert_eq!(table.hairpin(other, 50_000, start()), None, "this NAT has none");
        table.set_hairpin(true);
        assert_eq!(table.hairpin(other, 50_000, start()), None, "filtered");
        out(&mut table, &outer(60_000).to_string());
        assert_eq!(table.hairpin(other, 50_000, start()), Some((outer(60_000), addr(HOST))));
    }

    #[test]
    fn a_new_outer_address_has_no_mappings() {
        let mut table = table(Mapping::EndpointIndependent, Filtering::EndpointIndependent, Ports::Preserved);
        out(&mut table, PEER);
        table.renumber(Ipv4Addr::new(203, 0, 113, 9));
        assert_eq!(table.inbound(addr(PEER), 50_000, start()), None);
        assert_eq!(out(&mut table, PEER), addr("203.0.113.9:50000"));
    }
}
