//! Relay hosts: what is known of each of them.
//!
//! They are the operator's, and serve the sessions of every tenant. Each says every few seconds that it lives,
//! where it is reached and how full it is: the built-in one of each node by its node, the others over HTTPS. Each
//! has an id of its own, by which its keys are derived.

use alloc::{string::String, vec::Vec};
use core::{
    iter,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use switchhook_protocol::{
    id::RelayHostId,
    relay::{AddressFamily, RelayServer, Transport},
    time::Timestamp,
};

use crate::{policy::is_word, relay_peers::AddressRange};

/// How often a relay host says that it lives.
pub const BEAT: Duration = Duration::from_secs(2);

/// How long a relay host counts as alive after it was seen: it may be unheard four times.
pub const LEASE: Duration = Duration::from_secs(10);

/// Relay hosts of an installation: each is told of the others with every beat, and a choice looks at all pairs.
pub const MAX_HOSTS: u32 = 64;

/// By now an entry that was begun is committed, and the clocks of nodes differ by less.
const HEARD: Duration = Duration::from_secs(1);

/// How long the clients of the others may reach what a relay host relays after it was seen: one that no node hears
/// goes on, and its calls with it. Whoever comes back later enters anew.
pub const REACHED: Duration = Duration::from_hours(1);

/// Networks that one relay host is near to.
pub const MAX_NEAR: usize = 64;

/// A relay host as the database knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayHost {
    /// Its id, and the name of its keys.
    pub id: RelayHostId,
    /// It belongs to a node, and comes and goes with it.
    pub built_in: bool,
    /// What it says of itself.
    pub said: Said,
    /// The operator wants nobody to be sent there any more.
    pub drain: bool,
    /// Since when it has its addresses.
    pub entered_at: Timestamp,
    /// When it was last seen alive.
    pub seen_at: Timestamp,
}

/// What a relay host says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Where it stands.
    pub region: String,
    /// Networks that it is near to, whatever their devices say of their region.
    pub near: Vec<AddressRange>,
    /// Where it is reached.
    pub addresses: RelayAddresses,
    /// Allocations that it can hold.
    pub capacity: u32,
    /// Allocations that it holds.
    pub held: u32,
    /// It ends as soon as nobody uses it any more.
    pub leaving: bool,
    /// It knows all relay hosts that had entered until then, and lets its clients reach what they relay.
    pub knows_until: Timestamp,
}

/// Where clients reach a relay host, and peers what it relays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayAddresses {
    /// TURN over UDP and TCP.
    pub main: SocketAddr,
    /// The same over the other family of addresses.
    pub other: Option<SocketAddr>,
    /// TURN over TLS, at the same addresses.
    pub tls: Option<TlsDoor>,
}

/// TURN over TLS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsDoor {
    /// Its port.
    pub port: u16,
    /// The name that the certificate is for.
    pub name: String,
}

/// Why what a relay host says of itself is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnusableHost {
    /// Nobody can reach it there.
    #[error("a relay host has one address, or one of each family, and a port")]
    Addresses,
    /// The certificate is for no name.
    #[error(
        "the name of a relay host's certificate has 1 to 253 letters, digits, '-' and '.', its port is not 0"
    )]
    Tls,
    /// The region is no word.
    #[error("a region is a word: small letters, digits and '-'")]
    Region,
    /// Too many networks.
    #[error("a relay host is near to at most {MAX_NEAR} networks")]
    Near,
}

impl RelayHost {
    /// How full it is, in thousandths; at 1000 it takes nobody.
    pub fn load(&self) -> u16 {
        let (held, capacity) = (u64::from(self.said.held), u64::from(self.said.capacity));
        let thousandths = held.saturating_mul(1000).checked_div(capacity).unwrap_or(1000);
        u16::try_from(thousandths.min(1000)).unwrap_or(1000)
    }

    /// Whether somebody may be sent there.
    pub fn takes_more(&self, now: Timestamp) -> bool {
        self.is_alive(now) && !self.said.leaving && !self.drain && self.load() < 1000
    }

    /// Whether it was seen lately.
    pub fn is_alive(&self, now: Timestamp) -> bool {
        self.seen_at.until(now) <= LEASE
    }

    /// Whether others may let their clients reach what it relays.
    pub fn is_reached(&self, now: Timestamp) -> bool {
        self.seen_at.until(now) <= REACHED
    }

    /// Whether its clients may reach what the other one relays.
    pub fn knows(&self, other: &Self) -> bool {
        self.id == other.id || other.entered_at.after(HEARD) <= self.said.knows_until
    }
}

impl Said {
    /// Refuses what no client could use.
    pub fn check(&self) -> Result<(), UnusableHost> {
        if self.near.len() > MAX_NEAR {
            return Err(UnusableHost::Near);
        }
        if !is_word(&self.region) {
            return Err(UnusableHost::Region);
        }
        self.addresses.check()
    }
}

impl RelayAddresses {
    fn check(&self) -> Result<(), UnusableHost> {
        let is_somewhere =
            |addr: &SocketAddr| addr.port() != 0 && !addr.ip().is_unspecified() && !addr.ip().is_multicast();
        let is_other = |other: &SocketAddr| other.is_ipv4() != self.main.is_ipv4();
        if !self.all().all(|addr| is_somewhere(&addr)) || !self.other.as_ref().is_none_or(is_other) {
            return Err(UnusableHost::Addresses);
        }
        match &self.tls {
            Some(door) if !door.is_sound() => Err(UnusableHost::Tls),
            Some(_) | None => Ok(()),
        }
    }

    /// One of each family at most.
    pub fn all(&self) -> impl Iterator<Item = SocketAddr> + use<> {
        iter::once(self.main).chain(self.other)
    }

    /// Whether it relays from an address of this family.
    pub fn relays_from(&self, family: AddressFamily) -> bool {
        self.all().any(|addr| match family {
            AddressFamily::Ipv4 => addr.is_ipv4(),
            AddressFamily::Ipv6 => addr.is_ipv6(),
            AddressFamily::Unknown => false,
        })
    }

    /// The addresses that it gives out to be relayed from.
    pub fn relayed(&self) -> impl Iterator<Item = IpAddr> + use<> {
        self.all().map(|addr| addr.ip())
    }

    /// Every way to it, in the order in which clients try them: datagrams first, then TCP, then what looks like the web.
    pub fn servers(&self) -> Vec<RelayServer> {
        let over = |transport| {
            self.all().map(move |addr| RelayServer { transport, addr, name: None }).collect::<Vec<_>>()
        };
        let tls = self.tls.iter().flat_map(|door| {
            self.all().map(|addr| RelayServer {
                transport: Transport::Tls,
                addr: SocketAddr::new(addr.ip(), door.port),
                name: Some(door.name.clone()),
            })
        });
        over(Transport::Udp).into_iter().chain(over(Transport::Tcp)).chain(tls).collect()
    }
}

impl TlsDoor {
    fn is_sound(&self) -> bool {
        let letters = |name: &str| name.bytes().all(|it| it.is_ascii_alphanumeric() || b"-.".contains(&it));
        self.port != 0 && (1..=253).contains(&self.name.len()) && letters(&self.name)
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    /// A host of a thousand places, known to everybody.
    pub(crate) fn host(id: &str, region: &str, held: u32) -> RelayHost {
        RelayHost {
            id: id.parse().unwrap(),
            built_in: false,
            said: Said {
                region: region.into(),
                near: Vec::new(),
                addresses: RelayAddresses { main: "192.0.2.1:3478".parse().unwrap(), other: None, tls: None },
                capacity: 1000,
                held,
                leaving: false,
                knows_until: NOW,
            },
            drain: false,
            entered_at: Timestamp::from_millis(NOW.as_millis() - 3_600_000),
            seen_at: NOW,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::{string::ToString as _, vec};

    use super::{
        testing::{NOW, host},
        *,
    };

    #[test]
    fn rel_2_clients_try_datagrams_then_tcp_then_tls() {
        let addresses = RelayAddresses {
            main: "192.0.2.1:3478".parse().unwrap(),
            other: Some("[2001:db8::1]:3478".parse().unwrap()),
            tls: Some(TlsDoor { port: 443, name: "relay.example".into() }),
        };
        let servers = addresses.servers();
        let told: Vec<_> = servers.iter().map(|it| (it.transport, it.addr.to_string())).collect();
        assert_eq!(
            told,
            [
                (Transport::Udp, "192.0.2.1:3478".into()),
                (Transport::Udp, "[2001:db8::1]:3478".into()),
                (Transport::Tcp, "192.0.2.1:3478".into()),
                (Transport::Tcp, "[2001:db8::1]:3478".into()),
                (Transport::Tls, "192.0.2.1:443".into()),
                (Transport::Tls, "[2001:db8::1]:443".into()),
            ]
        );
        assert!(servers.iter().all(|it| it.name.is_some() == (it.transport == Transport::Tls)));
    }

    #[test]
    fn rel_1_who_is_dead_full_leaving_or_drained_takes_nobody() {
        let takes = |change: &dyn Fn(&mut RelayHost)| {
            let mut host = host("eu-1", "eu", 10);
            change(&mut host);
            host.takes_more(NOW.after(LEASE))
        };
        assert!(takes(&|_| {}));
        assert!(!takes(&|host| host.seen_at = Timestamp::from_millis(NOW.as_millis() - 1)));
        assert!(!takes(&|host| host.said.held = 1000));
        assert!(!takes(&|host| host.said.capacity = 0));
        assert!(!takes(&|host| host.said.leaving = true));
        assert!(!takes(&|host| host.drain = true));
    }

    #[test]
    fn rel_4_what_a_relay_host_relays_is_reached_for_an_hour_after_it_was_seen() {
        let host = host("eu-1", "eu", 0);
        let end = NOW.after(REACHED);
        assert!(host.is_reached(NOW.after(LEASE).after(LEASE)), "dead, and perhaps only unheard");
        assert!(host.is_reached(end));
        assert!(!host.is_reached(end.after(Duration::from_millis(1))));
    }

    #[test]
    fn what_no_client_could_use_is_not_taken() {
        let wrong = |change: &dyn Fn(&mut Said)| {
            let mut said = host("eu-1", "eu", 0).said;
            change(&mut said);
            said.check()
        };
        assert_eq!(wrong(&|_| {}), Ok(()));
        for main in ["0.0.0.0:3478", "192.0.2.1:0", "224.0.0.1:3478"] {
            let refused = wrong(&|said| said.addresses.main = main.parse().unwrap());
            assert_eq!(refused, Err(UnusableHost::Addresses), "{main}");
        }
        let same_family = wrong(&|said| said.addresses.other = Some("192.0.2.2:3478".parse().unwrap()));
        assert_eq!(same_family, Err(UnusableHost::Addresses));
        for (port, name) in [(0, "relay.example"), (443, ""), (443, "relay example")] {
            let refused = wrong(&|said| said.addresses.tls = Some(TlsDoor { port, name: name.into() }));
            assert_eq!(refused, Err(UnusableHost::Tls), "{name}");
        }
        assert_eq!(wrong(&|said| said.region = "e u".into()), Err(UnusableHost::Region));
        let many = vec!["10.0.0.0/8".parse().unwrap(); MAX_NEAR + 1];
        assert_eq!(wrong(&|said| said.near = many.clone()), Err(UnusableHost::Near));
    }
}
