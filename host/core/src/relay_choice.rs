//! Which relay hosts two participants use (REL-1).
//!
//! A relay host is nearest to devices in the networks that it names, then to those of its region. Of all hosts, and
//! of all pairs of them, those count that are nearest to both participants together; of these one host for both is
//! better than two, and the emptier better than the fuller. So both participants in one region share its emptiest
//! host; in two regions each gets a host of its own, since the way between two relay hosts is usually better than
//! the public one; a region without a relay host leans on the other's.
//!
//! A participant gets a host that it reaches by an address of its family. Two hosts meet in a family that both relay
//! from, in IPv4 if they may, and only if each has heard of the other: else it would refuse what the other relays.
//! The participants are told that family, and ask for addresses of it.
//!
//! The answer follows from the facts alone: whoever asks with the same ones gets the same.

use alloc::{string::String, vec::Vec};
use core::{cmp::Ordering, net::IpAddr};

use serde::{Deserialize, Serialize};
use switchhook_protocol::{relay::AddressFamily, time::Timestamp};

use crate::relay_host::RelayHost;

/// Where a participant is, as far as that is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The region that it says it is in.
    pub region: Option<String>,
    /// Where CDX saw it, at most once in each family.
    pub observed: Vec<IpAddr>,
    /// It has addresses of IPv4.
    pub ipv4: bool,
    /// It has addresses of IPv6.
    pub ipv6: bool,
}

/// The relay host of each of two participants; often the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice<'a> {
    /// For the first.
    pub a: &'a RelayHost,
    /// For the second.
    pub b: &'a RelayHost,
}

/// Chooses for participants in the places `a` and `b`.
pub fn choose<'a>(hosts: &'a [RelayHost], a: &Place, b: &Place, now: Timestamp) -> Option<Choice<'a>> {
    let open = || hosts.iter().filter(|host| host.takes_more(now));
    let for_both = open().filter(|host| a.reaches(host) && b.reaches(host));
    let shared = for_both.map(|host| Choice { a: host, b: host });
    let two = open().filter(|host| a.reaches(host)).filter_map(|first| {
        let seconds = open().filter(move |second| b.reaches(second) && meet(first, second));
        let best = seconds.min_by_key(|second| (b.distance(second), second.load(), &second.id));
        best.map(|second| Choice { a: first, b: second })
    });
    shared.chain(two).min_by(|one, other| one.compare(other, (a, b)))
}

impl Choice<'_> {
    /// The family in which both hosts reach what the other one relays.
    pub fn family(&self) -> Option<AddressFamily> {
        let both_have = |family: &AddressFamily| {
            [self.a, self.b].iter().all(|host| host.said.addresses.relays_from(*family))
        };
        [AddressFamily::Ipv4, AddressFamily::Ipv6].into_iter().find(both_have)
    }

    fn compare(&self, other: &Self, (a, b): (&Place, &Place)) -> Ordering {
        let rank = |it: &Self| {
            let distance = a.distance(it.a) + b.distance(it.b);
            (distance, it.a.id != it.b.id, it.a.load() + it.b.load())
        };
        rank(self).cmp(&rank(other)).then_with(|| (&self.a.id, &self.b.id).cmp(&(&other.a.id, &other.b.id)))
    }
}

impl Place {
    /// The same, in the region that the policy names.
    #[must_use]
    pub fn led_to(self, region: Option<&str>) -> Self {
        let region = region.map(String::from).or(self.region);
        Self { region, ..self }
    }

    /// 0 for a host that names its network, 1 for one of its region, 2 for any other.
    fn distance(&self, host: &RelayHost) -> u8 {
        let near = |ip: &IpAddr| host.said.near.iter().any(|network| network.contains(ip.to_canonical()));
        if self.observed.iter().any(near) {
            return 0;
        }
        if self.region.as_ref() == Some(&host.said.region) { 1 } else { 2 }
    }

    /// A participant of whom no address is known may be anywhere.
    fn reaches(&self, host: &RelayHost) -> bool {
        let unknown = !self.ipv4 && !self.ipv6;
        unknown || host.said.addresses.all().any(|addr| if addr.is_ipv4() { self.ipv4 } else { self.ipv6 })
    }
}

fn meet(a: &RelayHost, b: &RelayHost) -> bool {
    a.id != b.id && a.knows(b) && b.knows(a) && Choice { a, b }.family().is_some()
}

#[cfg(test)]
mod tests {
    use alloc::{borrow::ToOwned as _, string::ToString as _, vec};
    use core::time::Duration;

    use super::*;
    use crate::relay_host::{
        LEASE,
        testing::{NOW, host},
    };

    fn place(region: &str) -> Place {
        Place { region: Some(region.into()), ipv4: true, ..Place::default() }
    }

    fn ids(choice: Option<Choice<'_>>) -> Option<(&str, &str)> {
        choice.map(|choice| (choice.a.id.as_str(), choice.b.id.as_str()))
    }

    fn chosen<'a>(hosts: &'a [RelayHost], a: &str, b: &str) -> Option<(&'a str, &'a str)> {
        ids(choose(hosts, &place(a), &place(b), NOW))
    }

    #[test]
    fn rel_1_both_in_one_region_share_its_emptiest_host() {
        let hosts = [host("eu-1", "eu", 700), host("eu-2", "eu", 100), host("us-1", "us", 0)];
        assert_eq!(chosen(&hosts, "eu", "eu"), Some(("eu-2", "eu-2")));
    }

    /// REL-1.two-hosts
    #[test]
    fn rel_1_in_two_regions_each_gets_its_own_host() {
        let hosts = [host("eu-1", "eu", 700), host("us-1", "us", 0), host("us-2", "us", 1)];
        assert_eq!(chosen(&hosts, "us", "eu"), Some(("us-1", "eu-1")));
        assert_eq!(chosen(&hosts, "eu", "us"), Some(("eu-1", "us-1")));
    }

    #[test]
    fn rel_1_a_region_without_a_host_leans_on_the_others() {
        let hosts = [host("eu-1", "eu", 700), host("eu-2", "eu", 1000), host("us-1", "us", 5)];
        assert_eq!(chosen(&hosts, "eu", "asia"), Some(("eu-1", "eu-1")), "a full host takes nobody");
        assert_eq!(chosen(&hosts, "asia", "africa"), Some(("us-1", "us-1")));
        let unknown = Place::default();
        assert_eq!(ids(choose(&hosts, &unknown, &unknown, NOW)), Some(("us-1", "us-1")));
    }

    #[test]
    fn rel_1_a_host_that_was_not_seen_lately_is_not_chosen() {
        let hosts = [host("eu-1", "eu", 0)];
        let at = |now| ids(choose(&hosts, &place("eu"), &place("eu"), now));
        assert!(at(NOW.after(LEASE)).is_some());
        assert_eq!(at(NOW.after(LEASE).after(Duration::from_millis(1))), None);
        assert_eq!(chosen(&[], "eu", "eu"), None);
    }

    #[test]
    fn rel_1_a_host_that_names_a_network_is_nearer_than_one_of_the_region() {
        let mut near = host("near", "other", 900);
        near.said.near.push("198.51.100.0/24".parse().unwrap());
        let hosts = [host("eu-1", "eu", 0), near];
        let inside = Place { observed: vec!["::ffff:198.51.100.9".parse().unwrap()], ..place("eu") };
        assert_eq!(ids(choose(&hosts, &inside, &inside, NOW)), Some(("near", "near")));
        assert_eq!(ids(choose(&hosts, &inside, &place("eu"), NOW)), Some(("near", "eu-1")));
        let outside = Place { observed: vec!["198.51.101.9".parse().unwrap()], ..place("eu") };
        assert_eq!(ids(choose(&hosts, &outside, &outside, NOW)), Some(("eu-1", "eu-1")));
    }

    #[test]
    fn rel_1_each_reaches_its_host_and_the_hosts_each_other_by_a_family_that_both_have() {
        let (v4, mut v6, mut both) = (host("four", "eu", 0), host("six", "us", 0), host("both", "asia", 0));
        v6.said.addresses.main = "[2001:db8::1]:3478".parse().unwrap();
        both.said.addresses.other = Some("[2001:db8::2]:3478".parse().unwrap());
        let six_only = Place { ipv4: false, ipv6: true, ..place("us") };

        let dual = Place { ipv6: true, ..place("eu") };
        let pick = |hosts: &[RelayHost], (a, b): (&Place, &Place)| {
            let choice = choose(hosts, a, b, NOW)?;
            Some((choice.a.id.to_string(), choice.b.id.to_string(), choice.family()?))
        };
        let met = |a: &str, b: &str, family| Some((a.to_owned(), b.to_owned(), family));
        let (ipv4, ipv6) = (AddressFamily::Ipv4, AddressFamily::Ipv6);

        let hosts = [v4.clone(), v6.clone()];
        assert_eq!(pick(&hosts, (&place("eu"), &six_only)), None, "they cannot meet");
        assert_eq!(pick(&hosts, (&six_only, &six_only)), met("six", "six", ipv6));
        both.said.region = "eu".to_owned();
        let hosts = [v6, both.clone()];
        assert_eq!(pick(&hosts, (&place("eu"), &six_only)), met("both", "six", ipv6));
        assert_eq!(pick(&hosts, (&six_only, &dual)), met("six", "both", ipv6));
        both.said.region = "asia".to_owned();
        let hosts = [v4, both];
        assert_eq!(pick(&hosts, (&place("eu"), &place("asia"))), met("four", "both", ipv4));
        assert_eq!(pick(&hosts, (&six_only, &six_only)), met("both", "both", ipv4));
    }

    /// REL-4.two-hosts
    #[test]
    fn rel_1_hosts_that_have_not_heard_of_each_other_are_not_chosen_together() {
        let mut late = host("us-1", "us", 0);
        late.entered_at = NOW;
        let mut hosts = [host("eu-1", "eu", 0), late];
        assert_eq!(chosen(&hosts, "eu", "us"), Some(("eu-1", "eu-1")));
        hosts[0].said.knows_until = NOW.after(Duration::from_secs(1));
        assert_eq!(chosen(&hosts, "eu", "us"), Some(("eu-1", "us-1")));
    }
}
