//! What time it is in Redis, as its answers told: for what must not be done late.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::store::Revision;

/// Answers are on their way for less; a larger step back is a clock that was set.
const SET_BACK_US: u64 = 5_000_000;

/// Follows the clock of Redis. It is never ahead of it, and behind by what the fastest answer took.
pub(super) struct StoreClock {
    start: Instant,
    /// The store's clock at `start`, in microseconds since 1970; 0 for not known.
    at_start: AtomicU64,
}

impl StoreClock {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            at_start: AtomicU64::new(0),
        }
    }

    /// An answer said that it is now.
    pub(super) fn told(&self, revision: Revision) {
        let told = revision.saturating_sub(self.elapsed_us());
        let known = self.at_start.load(Ordering::Relaxed);
        if told > known || told + SET_BACK_US < known {
            self.at_start.store(told, Ordering::Relaxed);
        }
    }

    /// The store's time that long from now; `None` while nothing is known of it.
    pub(super) fn after(&self, time: Duration) -> Option<Revision> {
        let at_start = Some(self.at_start.load(Ordering::Relaxed)).filter(|known| *known > 0)?;
        let time = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Some(at_start.saturating_add(self.elapsed_us()).saturating_add(time))
    }

    fn elapsed_us(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}
