//! Which counters were seen: a window that slides with the largest one (RFC 4303 §3.4.3, RFC 6479).
//!
//! A counter has one bit, in a ring of words. Sliding clears whole words, so the window is 63 to
//! 64 words wide; what is older counts as seen.

/// Words in the ring.
const WORDS: u64 = 64;
const BITS: u64 = 64;

/// Counters behind the largest that may still come: at least so many.
#[cfg(test)]
const WINDOW: u64 = (WORDS - 1) * BITS;

#[derive(Debug)]
pub(crate) struct ReplayWindow {
    /// The word of the largest counter seen, counted from 0.
    head: u64,
    seen: [u64; 64],
}

impl Default for ReplayWindow {
    fn default() -> Self {
        Self { head: 0, seen: [0; 64] }
    }
}

impl ReplayWindow {
    /// Whether the counter may still come.
    pub(crate) fn is_new(&self, counter: u64) -> bool {
        let word = counter / BITS;
        if word > self.head {
            return true;
        }
        if self.head - word >= WORDS {
            return false;
        }
        self.seen.get(slot(word)).is_some_and(|bits| bits & bit(counter) == 0)
    }

    /// Marks the counter as seen; false if it was seen before or is too old.
    pub(crate) fn take(&mut self, counter: u64) -> bool {
        if !self.is_new(counter) {
            return false;
        }
        let word = counter / BITS;
        let skipped = word.saturating_sub(self.head).min(WORDS);
        for step in 0..skipped {
            if let Some(bits) = self.seen.get_mut(slot(word - step)) {
                *bits = 0;
            }
        }
        self.head = self.head.max(word);
        if let Some(bits) = self.seen.get_mut(slot(word)) {
            *bits |= bit(counter);
        }
        true
    }
}

const fn bit(counter: u64) -> u64 {
    1 << (counter % BITS)
}

fn slot(word: u64) -> usize {
    usize::try_from(word % WORDS).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_counts_once_in_any_order() {
        let mut window = ReplayWindow::default();
        for counter in [0, 5, 3, 4_000, 64, 1] {
            assert!(window.take(counter), "{counter}");
            assert!(!window.take(counter), "{counter} again");
        }
        assert!(window.take(2));
    }

    #[test]
    fn what_is_older_than_the_window_counts_as_seen() {
        let mut window = ReplayWindow::default();
        assert!(window.take(1_000_000));
        assert!(window.take(1_000_000 - WINDOW));
        assert!(!window.take(1_000_000 - WINDOW - BITS));
        assert!(window.take(u64::MAX));
        assert!(!window.take(1_000_001));
    }

    #[test]
    fn sliding_forgets_only_what_is_too_old() {
        let mut window = ReplayWindow::default();
        for counter in (0..20_000).step_by(3) {
            assert!(window.take(counter));
        }
        for counter in 20_000 - WINDOW..20_000 {
            assert_eq!(window.is_new(counter), counter % 3 != 0, "{counter}");
        }
    }
}
