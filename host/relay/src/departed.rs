//! Participants that were sent away: their tokens outlive their part in a session, and are to open nothing more (REL-3).
//!
//! Remembered for as long as a token of theirs may live. Whoever takes part again has a later token, which counts.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use switchhook_core::relay::CREDENTIALS_LIFE;
use switchhook_protocol::time::Timestamp;

use crate::{limits, quotas::Participant};

/// See the module: by when the tokens end that were given out before they left.
#[derive(Default)]
pub(crate) struct Departed(Mutex<BTreeMap<Participant, Timestamp>>);

impl Departed {
    /// A participant is sent away. Where too many were, the one who was so first may come back.
    pub(crate) fn note(&self, participant: &Participant, now: Timestamp) {
        let mut departed = self.lock();
        if departed.len() >= limits::DEPARTED {
            departed.retain(|_, until| *until > now);
        }
        if departed.len() >= limits::DEPARTED {
            let first = departed.iter().min_by_key(|(_, until)| **until).map(|(first, _)| first.clone());
            first.and_then(|first| departed.remove(&first));
        }
        departed.insert(participant.clone(), now.after(CREDENTIALS_LIFE));
    }

    /// Whether this one's token that ends then is from before it was sent away.
    pub(crate) fn has(&self, participant: &Participant, expires_at: Timestamp) -> bool {
        self.lock().get(participant).is_some_and(|until| expires_at <= *until)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Participant, Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Departed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Departed").field(&self.lock().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn participant(number: usize) -> Participant {
        let device = format!("device-{number}").parse().unwrap();
        Participant { tenant: "acme".parse().unwrap(), session: "s".parse().unwrap(), device }
    }

    #[test]
    fn rel_3_a_token_from_before_counts_no_more_and_a_later_one_does() {
        let departed = Departed::default();
        let before = NOW.after(CREDENTIALS_LIFE);
        assert!(!departed.has(&participant(1), before));

        departed.note(&participant(1), NOW.after(Duration::from_secs(1)));

        assert!(departed.has(&participant(1), before));
        assert!(!departed.has(&participant(1), before.after(Duration::from_secs(2))), "it takes part again");
        assert!(!departed.has(&participant(2), before), "another");
    }

    #[test]
    fn who_left_longest_ago_gives_way() {
        let departed = Departed::default();
        for number in 0..=limits::DEPARTED {
            departed
                .note(&participant(number), NOW.after(Duration::from_millis(u64::try_from(number).unwrap())));
        }
        assert_eq!(departed.lock().len(), limits::DEPARTED);
        assert!(!departed.has(&participant(0), NOW));
        assert!(departed.has(&participant(1), NOW));

        departed.note(&participant(0), NOW.after(CREDENTIALS_LIFE * 2));
        assert_eq!(departed.lock().len(), 1, "no token of the others lives");
    }
}
