//! How much one source may ask, and one holder of a ticket have told, in a table that never grows.
//!
//! Each slot holds the time at which its bucket will be full again (GCRA: one number says what a
//! token bucket says with two). Sources are spread over the slots by a hash with a secret key; two
//! that fall together share a bucket, and nobody can aim at another's.

use std::{
    hash::{BuildHasher as _, Hash, RandomState},
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

    pub(crate) fn allows(&mut self, asking: impl Hash, now: Instant) -> bool {
        let Some(interval) = self.interval else { return true };
        let now = now.saturating_duration_since(self.started);
        let hash = self.hasher.hash_one(asking);
        let slot = usize::try_from(hash).unwrap_or_default() % SLOTS;
        let Some(full_at) = self.full_at.get_mut(slot) else { return true };
        if full_at.saturating_sub(now) > self.tolerance {
            return false;
        }
        *full_at = now.max(*full_at) + interval;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use switchhook_core::subscriber::Subscriber;

    use super::*;

    fn limit() -> RateLimit {
        RateLimit::new(Rate { burst: 3, per_second: 10 })
    }

    fn addr(text: &str) -> Subscriber {
        text.parse::<IpAddr>().unwrap().into()
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
    fn an_ipv6_network_is_one_source() {
        let mut limit = limit();
        let start = limit.started;
        let asked = ["2001:db8::1", "2001:db8::2", "2001:db8::ffff:1", "2001:db8::3"];
        assert_eq!(asked.map(|source| limit.allows(addr(source), start)), [true, true, true, false]);
    }

    #[test]
    fn no_rate_is_no_limit() {
        let mut limit = RateLimit::new(Rate { burst: 0, per_second: 0 });
        let start = limit.started;
        assert!((0..10_000).all(|_| limit.allows(addr("198.51.100.7"), start)));
    }
}
