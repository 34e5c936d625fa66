//! How much of something one may have in a time, kept in one number (GCRA).
//!
//! A bucket remembers when it will be full again. What is taken moves that time on; what would move
//! it further ahead than a whole bucket takes to fill is refused. One number says what a token bucket
//! says with two, so that buckets are shared without a lock.
//!
//! Very many sources share a table that never grows ([`Buckets`]). They are spread over it by a hash with a
//! secret key; two that fall together share a bucket, and nobody can aim at another's.

use alloc::boxed::Box;
use core::{
    hash::{BuildHasher, Hash},
    num::NonZeroU64,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// A burst, and what is refilled in a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// At once.
    pub burst: u64,
    /// In a second, in the long run; 0 is no limit.
    pub per_second: u64,
}

impl Rate {
    /// No limit.
    pub const UNLIMITED: Self = Self { burst: 0, per_second: 0 };

    /// Nanoseconds in which so much is refilled; nothing where there is no limit.
    const fn time_for(self, amount: u64) -> Option<u64> {
        amount.saturating_mul(NANOS).checked_div(self.per_second)
    }
}

const NANOS: u64 = 1_000_000_000;

/// What one source has taken of its rate.
#[derive(Debug, Default)]
pub struct Bucket {
    /// When it is full again: nanoseconds since the moment that the caller counts from.
    full_at: AtomicU64,
}

impl Bucket {
    /// Takes so much, at `now` since a moment that stays the same for this bucket; false, and nothing
    /// is taken, if that is more than the rate leaves.
    pub fn take(&self, rate: Rate, amount: u64, now: Duration) -> bool {
        let (Some(cost), Some(tolerance)) = (rate.time_for(amount), rate.time_for(rate.burst)) else {
            return true;
        };
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let taken = |full_at: u64| {
            let full_at = full_at.max(now).saturating_add(cost);
            (full_at - now <= tolerance).then_some(full_at)
        };
        // Nothing else is published by this number: it stands for itself.
        self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_ok()
    }

    /// Gives back what was just taken and not used.
    pub fn give_back(&self, rate: Rate, amount: u64) {
        let cost = rate.time_for(amount).unwrap_or_default();
        let given = |full_at: u64| Some(full_at.saturating_sub(cost));
        // It always gives a number, so that it never fails.
        self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, given).unwrap_or_default();
    }

    /// Whether nothing taken is still to be refilled, so that a new bucket would be the same; `now` as in
    /// [`Self::take`].
    pub fn is_full(&self, now: Duration) -> bool {
        u128::from(self.full_at.load(Ordering::Relaxed)) <= now.as_nanos()
    }
}

/// What each of very many sources has taken of one rate.
#[derive(Debug)]
pub struct Buckets<S> {
    rate: Rate,
    slots: NonZeroU64,
    table: Box<[Bucket]>,
    hasher: S,
}

impl<S: BuildHasher> Buckets<S> {
    /// A table of so many slots, 8 bytes each. The hasher's key is to be secret and of this table alone.
    pub fn new(rate: Rate, slots: NonZeroU64, hasher: S) -> Self {
        let table = (0..slots.get()).map(|_| Bucket::default()).collect();
        Self { rate, slots, table, hasher }
    }

    /// Takes one of what this source may have, at `now` since a moment that stays the same for this table; false if
    /// its rate leaves none.
    pub fn take(&self, source: impl Hash, now: Duration) -> bool {
        if self.rate == Rate::UNLIMITED {
            return true;
        }
        let slot = usize::try_from(self.hasher.hash_one(source) % self.slots).unwrap_or_default();
        self.table.get(slot).is_none_or(|bucket| bucket.take(self.rate, 1, now))
    }
}

#[cfg(test)]
mod tests {
    use core::{hash::BuildHasherDefault, net::IpAddr};

    use super::*;
    use crate::subscriber::Subscriber;

    const RATE: Rate = Rate { burst: 3, per_second: 10 };

    /// The last byte that was written, so that a test knows who falls together.
    #[derive(Default)]
    struct LastByte(u8);

    impl core::hash::Hasher for LastByte {
        fn write(&mut self, bytes: &[u8]) {
            self.0 = bytes.last().copied().unwrap_or(self.0);
        }

        fn finish(&self) -> u64 {
            self.0.into()
        }
    }

    fn table(rate: Rate) -> Buckets<BuildHasherDefault<LastByte>> {
        Buckets::new(rate, NonZeroU64::new(4).unwrap(), BuildHasherDefault::default())
    }

    #[test]
    fn each_source_of_a_table_has_a_rate_of_its_own_unless_it_shares_a_slot() {
        let table = table(RATE);
        let ask = |source: u8| table.take(source, Duration::ZERO);
        assert_eq!([1; 4].map(ask), [true, true, true, false]);
        assert!(ask(2), "another slot");
        assert!(!ask(5), "the same slot");
    }

    #[test]
    fn an_ipv6_network_is_one_source() {
        let table = table(RATE);
        let ask =
            |source: &str| table.take(Subscriber::from(source.parse::<IpAddr>().unwrap()), Duration::ZERO);
        let asked = ["2001:db8::1", "2001:db8::2", "2001:db8::ffff:1", "2001:db8::3"];
        assert_eq!(asked.map(ask), [true, true, true, false]);
    }

    #[test]
    fn a_table_without_a_rate_has_no_limit() {
        let table = table(Rate::UNLIMITED);
        assert!((0..10_000).all(|_| table.take(1_u8, Duration::ZERO)));
    }

    #[test]
    fn a_source_gets_its_burst_and_then_its_rate() {
        let bucket = Bucket::default();
        let ask = |millis| bucket.take(RATE, 1, Duration::from_millis(millis));
        assert_eq!([0, 0, 0, 0, 99, 100, 100].map(ask), [true, true, true, false, false, true, false]);
        assert!(!bucket.is_full(Duration::from_millis(399)));
        assert!(bucket.is_full(Duration::from_millis(400)));
        assert_eq!([1000; 4].map(ask), [true, true, true, false], "full again, and no fuller");
    }

    #[test]
    fn what_is_larger_costs_more_and_what_is_refused_costs_nothing() {
        let bucket = Bucket::default();
        assert!(bucket.take(RATE, 2, Duration::ZERO));
        assert!(!bucket.take(RATE, 2, Duration::ZERO));
        assert!(bucket.take(RATE, 1, Duration::ZERO));
        assert!(!bucket.take(RATE, 4, Duration::from_secs(9)), "more than there ever is");
    }

    #[test]
    fn no_rate_is_no_limit() {
        let bucket = Bucket::default();
        assert!((0..100).all(|_| bucket.take(Rate::UNLIMITED, u64::MAX, Duration::ZERO)));
    }
}
