//! Which relay hosts two participants use (REL-1).
//!
//! A relay host is near to whom is in its region. Both participants in one region share its
//! emptiest relay host; in two regions each gets the emptiest of its own, since the way between two
//! relay hosts is usually better than the public one. A region without a relay host leans on the
//! other's, and where neither has one, both share the emptiest there is.

use alloc::string::String;
use core::{net::SocketAddr, time::Duration};

use serde::{Deserialize, Serialize};
use switchhook_protocol::{id::RelayHostId, time::Timestamp};

/// How long a relay host counts as alive after it was seen.
pub const LEASE: Duration = Duration::from_secs(15);

/// A relay host as the database knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayHost {
    /// Its id, and the name of its keys.
    pub id: RelayHostId,
    /// Where it stands.
    pub region: String,
    /// Its TURN address.
    pub addr: SocketAddr,
    /// How full it is, in thousandths; at 1000 it takes nobody.
    pub load: u16,
    /// When it was last seen alive.
    pub last_seen: Timestamp,
}

/// The relay host of each of two participants; often the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice<'a> {
    /// For the first.
    pub a: &'a RelayHost,
    /// For the second.
    pub b: &'a RelayHost,
}

/// Chooses for participants in the regions `a` and `b`, as far as these are known.
pub fn choose<'a>(
    hosts: &'a [RelayHost],
    a: Option<&str>,
    b: Option<&str>,
    now: Timestamp,
) -> Option<Choice<'a>> {
    let in_region = |region: Option<&str>| emptiest(hosts, now, |host| Some(host.region.as_str()) == region);
    let shared = |host| Choice { a: host, b: host };
    match (in_region(a), in_region(b)) {
        (Some(a), Some(b)) => Some(Choice { a, b }),
        (Some(host), None) | (None, Some(host)) => Some(shared(host)),
        (None, None) => emptiest(hosts, now, |_| true).map(shared),
    }
}

/// Of equally empty ones the first by id, so that everybody who asks gets the same answer.
fn emptiest(hosts: &[RelayHost], now: Timestamp, wanted: impl Fn(&RelayHost) -> bool) -> Option<&RelayHost> {
    let takes_more = |host: &&RelayHost| host.load < 1000 && host.last_seen.until(now) <= LEASE;
    hosts.iter().filter(takes_more).filter(|host| wanted(host)).min_by_key(|host| (host.load, &host.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn host(id: &str, region: &str, load: u16) -> RelayHost {
        let addr = "192.0.2.1:3478".parse().unwrap();
        RelayHost { id: id.parse().unwrap(), region: region.into(), addr, load, last_seen: NOW }
    }

    fn chosen<'a>(hosts: &'a [RelayHost], a: &str, b: &str) -> Option<(&'a str, &'a str)> {
        choose(hosts, Some(a), Some(b), NOW).map(|choice| (choice.a.id.as_str(), choice.b.id.as_str()))
    }

    #[test]
    fn rel_1_both_in_one_region_share_its_emptiest_host() {
        let hosts = [host("eu-1", "eu", 700), host("eu-2", "eu", 100), host("us-1", "us", 0)];
        assert_eq!(chosen(&hosts, "eu", "eu"), Some(("eu-2", "eu-2")));
    }

    #[test]
    fn rel_1_in_two_regions_each_gets_its_own_host() {
        let hosts = [host("eu-1", "eu", 700), host("us-1", "us", 0)];
        assert_eq!(chosen(&hosts, "us", "eu"), Some(("us-1", "eu-1")));
    }

    #[test]
    fn rel_1_a_region_without_a_host_leans_on_the_others() {
        let hosts = [host("eu-1", "eu", 700), host("eu-2", "eu", 1000), host("us-1", "us", 5)];
        assert_eq!(chosen(&hosts, "eu", "asia"), Some(("eu-1", "eu-1")), "a full host takes nobody");
        assert_eq!(chosen(&hosts, "asia", "africa"), Some(("us-1", "us-1")));
        let unknown = choose(&hosts, None, None, NOW).unwrap();
        assert_eq!(unknown.a.id.as_str(), "us-1");
    }

    #[test]
    fn rel_1_a_host_that_was_not_seen_lately_is_not_chosen() {
        let hosts = [host("eu-1", "eu", 0)];
        let later = NOW.after(LEASE);
        assert!(choose(&hosts, Some("eu"), Some("eu"), later).is_some());
        assert!(choose(&hosts, Some("eu"), Some("eu"), later.after(Duration::from_millis(1))).is_none());
        assert_eq!(chosen(&[], "eu", "eu"), None);
    }
}
