//! How often something may be done for one key, in a table that never grows.
//!
//! Each slot holds the time at which its bucket will be full again (GCRA). A key has two slots, by a hash with a secret
//! key, and counts in both; it is refused where both say so (a count-min sketch, updated conservatively). So it is
//! refused for others only where both of its slots are theirs as well, and nobody can aim at another's. In memory: a
//! restart forgives.

use std::{
    hash::{BuildHasher as _, Hash, RandomState},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use switchhook_protocol::time::Timestamp;

/// A burst, and the time after which one more is allowed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    pub(crate) burst: u32,
    pub(crate) every: Duration,
}

impl Rate {
    /// So many in a minute, all of them at once if need be.
    pub(crate) fn per_minute(burst: u32) -> Self {
        Self { burst, every: Duration::from_mins(1) / burst.max(1) }
    }

    /// Takes one from a bucket, by the time (in nanoseconds: rates may be high) at which it will be full again. A rate of none
    /// gives nothing.
    fn take(self, full_at: &mut u64, now: Timestamp) -> Result<(), Duration> {
        if self.burst == 0 {
            return Err(self.every);
        }
        let every = u64::try_from(self.every.as_nanos()).unwrap_or(u64::MAX);
        let now = now.as_millis().saturating_mul(1_000_000);
        let tolerance = every.saturating_mul(u64::from(self.burst.saturating_sub(1)));
        let ahead = full_at.saturating_sub(now);
        if ahead > tolerance {
            return Err(Duration::from_nanos(ahead - tolerance));
        }
        *full_at = (*full_at).max(now).saturating_add(every);
        Ok(())
    }
}

/// The bucket of one key, kept with it.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    full_at: u64,
}

impl Bucket {
    /// Takes one; an error says how long to wait for it.
    pub(crate) fn take(&mut self, rate: Rate, now: Timestamp) -> Result<(), Duration> {
        rate.take(&mut self.full_at, now)
    }
}

/// The buckets of one kind.
#[derive(Debug)]
pub(crate) struct Rates {
    full_at: Mutex<Box<[u64]>>,
    hasher: RandomState,
}

const SLOTS: usize = 64 * 1024;

impl Rates {
    /// All of them full.
    pub(crate) fn new() -> Self {
        Self::with_slots(SLOTS)
    }

    /// All of them full, so many: the slower they fill, the more keys of a day fall together.
    pub(crate) fn with_slots(slots: usize) -> Self {
        Self { full_at: Mutex::new(vec![0; slots].into()), hasher: RandomState::new() }
    }

    /// Takes one from the key's bucket; an error says how long to wait for it. A rate of none gives nothing.
    pub(crate) fn take(&self, rate: Rate, key: impl Hash, now: Timestamp) -> Result<(), Duration> {
        let hash = self.hasher.hash_one(key);
        let mut table = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let among = |hash| usize::try_from(hash).unwrap_or_default() % table.len().max(1);
        let slots = [hash, hash.rotate_right(32)].map(among);
        let mut emptied = slots.iter().filter_map(|slot| table.get(*slot)).copied().min().unwrap_or_default();
        rate.take(&mut emptied, now)?;
        for slot in slots {
            if let Some(full_at) = table.get_mut(slot) {
                *full_at = (*full_at).max(emptied);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gets_its_burst_and_then_its_rate_and_is_told_how_long_to_wait() {
        let rates = Rates::new();
        let rate = Rate { burst: 2, every: Duration::from_secs(10) };
        let at = |seconds: u64| Timestamp::from_millis(1_000_000 + seconds * 1_000);
        assert_eq!(rates.take(rate, "a", at(0)), Ok(()));
        assert_eq!(rates.take(rate, "a", at(0)), Ok(()));
        assert_eq!(rates.take(rate, "a", at(4)), Err(Duration::from_secs(6)));
        assert_eq!(rates.take(rate, "b", at(4)), Ok(()));
        assert_eq!(rates.take(rate, "a", at(10)), Ok(()));
    }

    #[test]
    fn the_highest_rate_lets_everything_pass_also_by_a_clock_that_is_a_little_behind() {
        let (rates, rate) = (Rates::new(), Rate::per_minute(u32::MAX));
        for millis in [1_000_001, 1_000_000, 1_000_002, 1_000_001] {
            assert_eq!(rates.take(rate, "a", Timestamp::from_millis(millis)), Ok(()));
        }
    }

    #[test]
    fn a_key_may_have_a_rate_of_its_own_and_none_at_all() {
        let rates = Rates::new();
        let now = Timestamp::from_millis(1_000_000);
        assert_eq!(rates.take(Rate::per_minute(1), "a", now), Ok(()));
        assert_eq!(rates.take(Rate::per_minute(1), "a", now), Err(Duration::from_mins(1)));
        assert!(rates.take(Rate::per_minute(0), "b", now).is_err());
    }

    #[test]
    fn a_table_in_which_every_third_slot_is_empty_refuses_few_others() {
        let (rates, rate, now) = (Rates::new(), Rate::per_minute(1), Timestamp::from_millis(1_000_000));
        for key in 0..SLOTS / 5 {
            _ = rates.take(rate, ("busy", key), now);
        }
        let refused = (0..1_000).filter(|key| rates.take(rate, ("other", key), now).is_err()).count();
        assert!(refused < 200, "{refused} of 1000, where one slot alone would refuse 330");
    }
}
