//! When to connect again.
//!
//! The first new try comes at once; then the pause grows with the square of the tries, up to
//! [`limits::BACKOFF`]. Half of it is fixed and half is random, so that the clients of a host that
//! restarts do not come back in step. A connection that held begins anew.

use core::time::Duration;

use crate::limits;

#[derive(Debug, Default)]
pub(crate) struct Backoff {
    tries: u32,
}

impl Backoff {
    /// The pause before the next try; `jitter` is between 0 and 1.
    pub(crate) fn next(&mut self, jitter: f64) -> Duration {
        let tries = self.tries;
        self.tries = tries.saturating_add(1);
        let whole = limits::BACKOFF_STEP.saturating_mul(tries.saturating_mul(tries)).min(limits::BACKOFF);
        whole / 2 + (whole / 2).mul_f64(jitter.clamp(0.0, 1.0))
    }

    /// Takes notice of how long a connection held.
    pub(crate) fn held(&mut self, lived: Duration) {
        if lived >= limits::STEADY {
            self.tries = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_try_comes_at_once_and_later_ones_ever_more_slowly_up_to_a_bound() {
        let mut backoff = Backoff::default();
        let pauses: Vec<u128> = (0..7).map(|_| backoff.next(1.0).as_millis()).collect();
        assert_eq!(pauses, [0, 300, 1_200, 2_700, 4_800, 7_000, 7_000]);
        assert_eq!(backoff.next(0.0).as_millis(), 3_500);
    }

    #[test]
    fn a_connection_that_breaks_at_once_does_not_begin_anew() {
        let mut backoff = Backoff::default();
        _ = (backoff.next(1.0), backoff.next(1.0));
        backoff.held(Duration::from_millis(5));
        assert_eq!(backoff.next(1.0).as_millis(), 1_200);
        backoff.held(limits::STEADY);
        assert_eq!(backoff.next(1.0).as_millis(), 0);
    }
}
