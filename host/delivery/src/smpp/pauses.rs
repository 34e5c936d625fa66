//! How long an SMSC is left alone before the next bind: longer and longer while it is away, each time by chance.

use std::time::Duration;

use rand::{Rng, RngExt as _};

use crate::limits;

/// The pauses between the tries of one gateway.
#[derive(Debug)]
pub(super) struct Pauses {
    /// The longest that the next one may be.
    next: Duration,
}

impl Pauses {
    /// As of a gateway that was never tried.
    pub(super) const fn new() -> Self {
        Self { next: limits::SMPP_PAUSES.0 }
    }

    /// The pause after a try that ended so long after it began. A bind that held begins anew; half of the pause at least
    /// is waited for: an SMSC that comes back does not find everybody at the door at once.
    pub(super) fn after(&mut self, held: Duration, rng: &mut impl Rng) -> Duration {
        let (shortest, longest) = limits::SMPP_PAUSES;
        let pause = if held >= limits::SMPP_STEADY { shortest } else { self.next };
        self.next = (pause * 2).min(longest);
        pause.mul_f64(rng.random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng as _, rngs::StdRng};

    use super::*;

    const REFUSED: Duration = Duration::from_millis(3);

    /// REG-3
    #[test]
    fn reg_2_an_smsc_that_stays_away_is_tried_after_longer_and_longer_pauses() {
        for seed in 0..64 {
            let (mut pauses, mut rng) = (Pauses::new(), StdRng::seed_from_u64(seed));
            let mut expected = vec![1, 2, 4, 8, 16, 32];
            expected.extend([60; 10]);
            for seconds in expected {
                let most = Duration::from_secs(seconds);
                let pause = pauses.after(REFUSED, &mut rng);
                assert!((most / 2..=most).contains(&pause), "seed {seed}: {pause:?} of {most:?}");
            }
        }
    }

    #[test]
    fn reg_2_a_bind_that_held_begins_with_the_shortest_pause_and_a_short_one_goes_on() {
        for seed in 0..64 {
            let (mut pauses, mut rng) = (Pauses::new(), StdRng::seed_from_u64(seed));
            for _ in 0..9 {
                pauses.after(REFUSED, &mut rng);
            }
            // An SMSC that takes each bind and drops it is no better than one that takes none.
            let dropped = pauses.after(limits::SMPP_STEADY.saturating_sub(REFUSED), &mut rng);
            assert!(dropped >= limits::SMPP_PAUSES.1 / 2, "seed {seed}: {dropped:?}");
            let held = pauses.after(limits::SMPP_STEADY, &mut rng);
            assert!(held <= limits::SMPP_PAUSES.0, "seed {seed}: {held:?}");
            assert!(pauses.after(REFUSED, &mut rng) <= 2 * limits::SMPP_PAUSES.0);
        }
    }

    #[test]
    fn reg_2_two_gateways_of_one_smsc_do_not_come_at_once() {
        let pause = |seed| Pauses::new().after(REFUSED, &mut StdRng::seed_from_u64(seed));
        let all: std::collections::BTreeSet<Duration> = (0..64).map(pause).collect();
        assert_eq!(all.len(), 64);
    }
}
