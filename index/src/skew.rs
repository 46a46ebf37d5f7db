//! How far this machine's clock is from the store's.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use crate::clock::Clock;
use crate::error::IndexError;
use crate::store::BindingIndex;

/// How far clocks may be apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SkewLimits {
    /// Beyond this it is told.
    pub warn: Duration,
    /// Beyond this the clock is not trusted.
    pub refuse: Duration,
}

impl Default for SkewLimits {
    fn default() -> Self {
        Self {
            warn: Duration::from_secs(1),
            refuse: Duration::from_secs(5),
        }
    }
}

/// A clock that is compared with the store's again and again, and not trusted while they are too far apart.
pub struct WatchedClock {
    inner: Arc<dyn Clock>,
    limits: SkewLimits,
    skew_us: AtomicI64,
    warned: AtomicBool,
    refused: AtomicBool,
}

impl WatchedClock {
    /// Trusted until it is found wrong.
    pub fn new(inner: Arc<dyn Clock>, limits: SkewLimits) -> Self {
        Self {
            inner,
            limits,
            skew_us: AtomicI64::new(0),
            warned: AtomicBool::new(false),
            refused: AtomicBool::new(false),
        }
    }

    fn tell(&self, skew_us: i64, certain_us: u64) {
        let beyond = |limit: Duration| u128::from(certain_us) > limit.as_micros();
        let (refuse, warn) = (beyond(self.limits.refuse), beyond(self.limits.warn));
        let ahead_ms = skew_us / 1_000;
        let (was_refused, was_warned) = (
            self.refused.swap(refuse, Ordering::Release),
            self.warned.swap(warn, Ordering::Relaxed),
        );
        if refuse && !was_refused {
            tracing::error!(
                ahead_ms,
                "this clock and that of the index are too far apart: nothing is issued or judged"
            );
        } else if warn && !was_warned {
            tracing::warn!(ahead_ms, "this clock and that of the index are apart");
        } else if !warn && was_warned {
            tracing::info!(ahead_ms, "this clock and that of the index agree again");
        }
    }
}

impl fmt::Debug for WatchedClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedClock")
            .field("limits", &self.limits)
            .field("skew_us", &self.skew_us())
            .finish_non_exhaustive()
    }
}

impl Clock for WatchedClock {
    fn now_us(&self) -> u64 {
        self.inner.now_us()
    }

    fn monotonic_us(&self) -> u64 {
        self.inner.monotonic_us()
    }

    fn is_trusted(&self) -> bool {
        !self.refused.load(Ordering::Acquire)
    }

    fn skew_us(&self) -> i64 {
        self.skew_us.load(Ordering::Relaxed)
    }

    fn agrees(&self, store_us: u64, asked_us: u64, took_us: u64) -> bool {
        let (_, certain_us) = skew(store_us, asked_us, took_us);
        let agrees = u128::from(certain_us) <= self.limits.refuse.as_micros();
        if !agrees {
            self.compared(store_us, asked_us, took_us);
        }
        agrees
    }

    fn compared(&self, store_us: u64, asked_us: u64, took_us: u64) {
        let (skew_us, certain_us) = skew(store_us, asked_us, took_us);
        self.skew_us.store(skew_us, Ordering::Relaxed);
        self.tell(skew_us, certain_us);
    }
}

/// How far the clock is ahead, and how much of that is certain. The store looked at its clock at some moment of the trip: half way, give
/// or take the other half.
fn skew(store_us: u64, asked_us: u64, took_us: u64) -> (i64, u64) {
    let here = asked_us.saturating_add(took_us / 2);
    let ahead = i64::try_from(here.abs_diff(store_us)).unwrap_or(i64::MAX);
    let skew_us = if here < store_us { -ahead } else { ahead };
    (skew_us, skew_us.unsigned_abs().saturating_sub(took_us / 2))
}

/// Why a store and a clock cannot be worked with.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ClockProblem {
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] IndexError),
    /// See [`Clock::is_trusted`].
    #[error("{UNTRUSTED}")]
    Untrusted,
}

/// What is said where nothing is answered because of the clock.
pub const UNTRUSTED: &str = "this clock and that of the index are too far apart";

/// Asks the store for its time and compares the clock with it.
///
/// # Errors
/// The store does not answer, or the clock is not to be trusted.
pub async fn compare_clocks(store: &(impl BindingIndex + ?Sized), clock: &dyn Clock) -> Result<(), ClockProblem> {
    let (asked_us, began_us) = (clock.now_us(), clock.monotonic_us());
    let store_us = store.ping().await?;
    clock.compared(store_us, asked_us, clock.monotonic_us().saturating_sub(began_us));
    if clock.is_trusted() {
        Ok(())
    } else {
        Err(ClockProblem::Untrusted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    const HOUR_US: u64 = 3_600_000_000;

    fn watched() -> WatchedClock {
        WatchedClock::new(Arc::new(ManualClock::new(HOUR_US)), SkewLimits::default())
    }

    #[test]
    fn a_clock_is_trusted_as_long_as_it_agrees() {
        let clock = watched();
        assert!(clock.is_trusted());
        for (store_us, trusted) in [
            (HOUR_US, true),
            (HOUR_US + 5_000_000, true),
            (HOUR_US + 5_000_001, false),
            (HOUR_US - 5_000_000, true),
            (HOUR_US - 5_000_001, false),
            (2 * HOUR_US, false),
            (0, false),
            (HOUR_US, true),
        ] {
            clock.compared(store_us, HOUR_US, 0);
            assert_eq!(clock.is_trusted(), trusted, "{store_us}");
        }
    }

    #[test]
    fn what_agrees_leaves_no_trace_and_what_does_not_is_found_at_once() {
        let clock = watched();
        assert!(clock.agrees(HOUR_US + 5_000_000, HOUR_US, 0));
        assert_eq!((clock.skew_us(), clock.is_trusted()), (0, true));
        assert!(!clock.agrees(2 * HOUR_US, HOUR_US, 0));
        assert!(!clock.is_trusted());
        // Only a comparison makes it good again: an answer that was under way says nothing.
        assert!(clock.agrees(HOUR_US, HOUR_US, 0));
        assert!(!clock.is_trusted());
        clock.compared(HOUR_US, HOUR_US, 0);
        assert!(clock.is_trusted());
    }

    #[test]
    fn a_slow_answer_proves_less() {
        let clock = watched();
        // Asked at 0 h, answered after 20 s: the store's clock may be 10 s off the middle without any skew.
        clock.compared(HOUR_US + 20_000_000, HOUR_US, 20_000_000);
        assert!(clock.is_trusted());
        assert_eq!(clock.skew_us(), -10_000_000);
        clock.compared(HOUR_US + 25_000_001, HOUR_US, 20_000_000);
        assert!(!clock.is_trusted());
    }
}
