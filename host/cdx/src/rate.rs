//! How much one source may ask, in a table that never grows.
//!
//! Each slot holds the time at which its bucket will be full again (GCRA: one number says what a
//! token bucket says with two). Sources are spread over the slots by a hash with a secret key; two
//! that fall together share a bucket, and nobody can aim at another's.

use std::{
    hash::{BuildHasher as _, RandomState},
    net::IpAddr,
    time::Duration,
};

use tokio::time::Instant;

/// A burst, and what is refilled in a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Datagrams at once.
    pub burst: u32,
    /// Datagrams per second in the long run; 0 is no limit.
    pub per_second: u32,
}

impl Default for Rate {
    /// Room for some hundred devices that come back at once behind one NAT.
    fn default() -> Self {
        Self { burst: 1000, per_second: 200 }
    }
}

const SLOTS: usize = 16 * 1024;

pub(crate) struct RateLimit {
    /// `None` is no limit.
    interval: Option<Duration>,
    tolerance: Duration,
    started: Instant,
    /// When each bucket is full again, counted from `started`.
    full_at: Box<[Duration]>,
    hasher: RandomState,
}

impl RateLimit {
    pub(crate) fn new(rate: Rate) -> Self {
        let interval = Duration::from_secs(1).checked_div(rate.per_second);
        Self {
            interval,
            tolerance: interval.unwrap_or_default().saturating_mul(rate.burst.saturating_sub(1)),
            started: Instant::now(),
            full_at: vec![Duration::ZERO; SLOTS].into(),
            hasher: RandomState::new(),
        }
    }

    pub(crate) fn allows(&mut self, source: IpAddr, now: Instant) -> bool {
        let Some(interval) = self.interval else { return true };
        let now = now.saturating_duration_since(self.started);
        let slot = usize::try_from(self.hasher.hash_one(network(source))).unwrap_or_default() % SLOTS;
        let Some(full_at) = self.full_at.get_mut(slot) else { return true };
        if full_at.saturating_sub(now) > self.tolerance {
            return false;
        }
        *full_at = now.max(*full_at) + interval;
        true
    }
}

/// An IPv6 client has a whole network of 64 bits to send from.
const fn network(source: IpAddr) -> u128 {
    match source.to_canonical() {
        // `u128::from` is not const.
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits() >> 64 << 64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit() -> RateLimit {
        RateLimit::new(Rate { burst: 3, per_second: 10 })
    }

    fn addr(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_source_gets_its_burst_and_then_its_rate() {
        let mut limit = limit();
        let start = limit.started;
        let mut ask = |millis| limit.allows(addr("198.51.100.7"), start + Duration::from_millis(millis));
        assert_eq!([0, 0, 0, 0, 99, 100, 100].map(&mut ask), [true, true, true, false, false, true, false]);
        assert_eq!([1000; 4].map(&mut ask), [true, true, true, false], "full again, and no fuller");
    }

    #[test]
    fn an_ipv6_network_is_one_source_and_so_is_ipv4_in_an_ipv6_form() {
        assert_eq!(network(addr("2001:db8::1")), network(addr("2001:db8::ffff:1")));
        assert_ne!(network(addr("2001:db8::1")), network(addr("2001:db8:0:1::1")));
        assert_eq!(network(addr("::ffff:192.0.2.1")), network(addr("192.0.2.1")));
        assert_ne!(network(addr("192.0.2.2")), network(addr("192.0.2.1")));
    }

    #[test]
    fn no_rate_is_no_limit() {
        let mut limit = RateLimit::new(Rate { burst: 0, per_second: 0 });
        let start = limit.started;
        assert!((0..10_000).all(|_| limit.allows(addr("198.51.100.7"), start)));
    }
}
