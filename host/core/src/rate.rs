//! How much of something one may have in a time, kept in one number (GCRA).
//!
//! A bucket remembers when it will be full again. What is taken moves that time on; what would move
//! it further ahead than a whole bucket takes to fill is refused. One number says what a token bucket
//! says with two, so that buckets are shared without a lock.

use core::{
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

    /// Whether nothing taken is still to be refilled, so that a new bucket would be the same; `now` as in
    /// [`Self::take`].
    pub fn is_full(&self, now: Duration) -> bool {
        u128::from(self.full_at.load(Ordering::Relaxed)) <= now.as_nanos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { burst: 3, per_second: 10 };

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
