//! The counters of failed attempts in memory.

use std::collections::HashMap;

use async_trait::async_trait;

use super::MemoryIndex;
use crate::attempts::{AttemptCounter, AttemptCounters, AttemptKey, AttemptLimit, MOST_BEYOND, Wait};
use crate::error::IndexError;

/// How many counters there are before those that ended are looked for.
const LEAST_SWEEP: usize = 1_024;

/// The counters that weigh.
#[derive(Default)]
pub(super) struct Attempts {
    counters: HashMap<AttemptKey, Counter>,
    sweep_at: usize,
}

#[derive(Clone, Copy, Default)]
struct Counter {
    /// When every failure is forgiven, in milliseconds since 1970.
    forgiven_ms: u64,
    /// Until when it holds up.
    until_ms: u64,
}

impl Counter {
    fn fail(&mut self, limit: AttemptLimit, now_ms: u64) -> Wait {
        let before_ms = self.until_ms.saturating_sub(now_ms);
        if before_ms > 0 {
            return Wait {
                before_ms,
                after_ms: before_ms,
            };
        }
        let forgive = u64::from(limit.forgive_ms);
        let free = u64::from(limit.free) * forgive;
        let weight = self.forgiven_ms.saturating_sub(now_ms) + forgive;
        let weight = weight.min(free + MOST_BEYOND * forgive);
        self.forgiven_ms = now_ms + weight;
        let beyond = weight.saturating_sub(free);
        if beyond > 0 {
            let delay = u64::from(limit.first_ms) << ((beyond - 1) / forgive);
            self.until_ms = now_ms + delay.min(u64::from(limit.most_ms));
        }
        Wait {
            before_ms,
            after_ms: self.until_ms.saturating_sub(now_ms),
        }
    }

    fn ends_ms(&self) -> u64 {
        self.forgiven_ms.max(self.until_ms)
    }
}

impl Attempts {
    fn sweep(&mut self, now_ms: u64) {
        if self.counters.len() >= self.sweep_at.max(LEAST_SWEEP) {
            self.counters.retain(|_, counter| counter.ends_ms() > now_ms);
            self.sweep_at = 2 * self.counters.len();
        }
    }
}

#[async_trait]
impl AttemptCounters for MemoryIndex {
    async fn waits(&self, keys: &[AttemptKey]) -> Result<Vec<u64>, IndexError> {
        let now_ms = self.clock.now_us() / 1_000;
        let state = self.lock();
        let wait = |key| {
            let counter = state.attempts.counters.get(key);
            counter.map_or(0, |counter| counter.until_ms.saturating_sub(now_ms))
        };
        Ok(keys.iter().map(wait).collect())
    }

    async fn count_failure(&self, counters: &[AttemptCounter]) -> Result<Vec<Wait>, IndexError> {
        let now_ms = self.clock.now_us() / 1_000;
        let mut state = self.lock();
        state.attempts.sweep(now_ms);
        let fail = |counter: &AttemptCounter| {
            let counted = state.attempts.counters.entry(counter.key).or_default();
            counted.fail(counter.limit, now_ms)
        };
        Ok(counters.iter().map(fail).collect())
    }
}
