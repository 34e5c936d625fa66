//! Who stands behind an address, as far as a host can tell before any login, and what each may hold.
//!
//! A provider gives a subscriber one IPv4 address, or an IPv6 network of 64 bits with all addresses in it:
//! whoever bounds a stranger bounds that. Behind one address there may be a whole office, so its share of
//! what there is has to be ample; it is never all.

use alloc::collections::{BTreeMap, btree_map::Entry};
use core::net::{IpAddr, Ipv6Addr};

/// The part of an address that one subscriber has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subscriber(IpAddr);

/// Bits of an IPv6 address that tell subscribers apart.
const SUBSCRIBER: u128 = !0 << 64;

impl Subscriber {
    /// Its address of IPv4, or the first one of its network of IPv6.
    pub const fn network(self) -> IpAddr {
        self.0
    }
}

impl From<IpAddr> for Subscriber {
    fn from(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V6(ip) => Self(Ipv6Addr::from_bits(ip.to_bits() & SUBSCRIBER).into()),
            ip @ IpAddr::V4(_) => Self(ip),
        }
    }
}

/// Places of one kind: how many there are, how many of them one subscriber may hold, and who holds some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shares {
    free: usize,
    each: usize,
    held: BTreeMap<Subscriber, usize>,
}

impl Shares {
    /// So many places, all of them free, of which each subscriber may hold at most so many.
    pub const fn new(places: usize, each: usize) -> Self {
        Self { free: places, each, held: BTreeMap::new() }
    }

    /// Takes a place; false where none is free, or the subscriber holds as many as it may.
    pub fn take(&mut self, subscriber: Subscriber) -> bool {
        let held = self.held.get(&subscriber).copied().unwrap_or_default();
        let may = self.free > 0 && held < self.each;
        if may {
            self.free -= 1;
            self.held.insert(subscriber, held + 1);
        }
        may
    }

    /// Gives back a place that the subscriber took; nothing happens if it holds none.
    pub fn give_back(&mut self, subscriber: Subscriber) {
        let Entry::Occupied(mut held) = self.held.entry(subscriber) else { return };
        self.free += 1;
        *held.get_mut() -= 1;
        if *held.get() == 0 {
            held.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ip: &str) -> Subscriber {
        ip.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn a_subscriber_of_ipv6_is_its_first_64_bits_and_a_mapped_address_is_ipv4() {
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }

    #[test]
    fn one_subscriber_has_its_share_and_leaves_the_others_theirs() {
        let mut shares = Shares::new(3, 2);
        let (one, two) = (of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!([one, one, one, two, two].map(|who| shares.take(who)), [true, true, false, true, false]);
        shares.give_back(one);
        assert_eq!([two, two].map(|who| shares.take(who)), [true, false]);
    }

    #[test]
    fn a_place_is_free_again_when_it_is_given_back_and_nothing_is_left_of_it() {
        let mut shares = Shares::new(3, 2);
        assert!(shares.take(of("192.0.2.1")));
        shares.give_back(of("192.0.2.1"));
        shares.give_back(of("192.0.2.1"));
        assert_eq!(shares, Shares::new(3, 2));
    }
}
