//! How hard and how long a path is looked for.

use core::time::Duration;

use crate::limits;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    /// After so long without a path the search gives up; never, if there is none.
    pub(super) patience: Option<Duration>,
    /// Longest pause between repeats of a check.
    pub(super) repeat_max: Duration,
}

impl Pace {
    /// Somebody waits for it.
    pub(crate) const fn hurried(patience: Duration) -> Self {
        Self { patience: Some(patience), repeat_max: limits::CHECK_REPEAT_MAX }
    }

    /// Through the relay.
    pub(crate) const fn through_relay() -> Self {
        Self { patience: Some(limits::RELAY), repeat_max: limits::CHECK_REPEAT_MAX }
    }

    /// Beside a path that carries: a hole that opens later is found.
    pub(crate) const fn beside() -> Self {
        Self { patience: None, repeat_max: limits::CHECK_REPEAT_BESIDE }
    }
}
