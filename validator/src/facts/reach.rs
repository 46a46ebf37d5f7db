//! Whether the index can be reached, for those who have something else to go by.

use std::sync::atomic::{AtomicU64, Ordering};

/// After a read that failed, this long until one question tries again, in microseconds. A frozen index costs each try its
/// time-out: without this, what is known would be of no use, because every question would wait for it.
const RETRY_US: u64 = 500_000;

/// When the index is worth asking again.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    /// On the monotonic clock, in microseconds; 0 while it answers.
    retry_at_us: AtomicU64,
}

impl Reach {
    /// Whether the index did not answer a moment ago. Of those who ask when it is due again, one is told to try.
    pub(crate) fn is_lost(&self, now_us: u64) -> bool {
        let retry_at_us = self.retry_at_us.load(Ordering::Relaxed);
        if retry_at_us == 0 {
            return false;
        }
        let due = now_us >= retry_at_us
            && self
                .retry_at_us
                .compare_exchange(retry_at_us, now_us + RETRY_US, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        !due
    }

    pub(crate) fn failed(&self, now_us: u64) {
        self.retry_at_us.store(now_us + RETRY_US, Ordering::Relaxed);
    }

    pub(crate) fn answered(&self) {
        if self.retry_at_us.load(Ordering::Relaxed) != 0 {
            self.retry_at_us.store(0, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_many_tries_when_it_is_due() {
        let reach = Reach::default();
        assert!(!reach.is_lost(10));
        reach.failed(10);
        assert!(reach.is_lost(10) && reach.is_lost(10 + RETRY_US - 1));
        assert!(!reach.is_lost(10 + RETRY_US), "the first tries");
        assert!(reach.is_lost(10 + RETRY_US), "the next waits for it");
        reach.answered();
        assert!(!reach.is_lost(10 + RETRY_US));
    }
}
