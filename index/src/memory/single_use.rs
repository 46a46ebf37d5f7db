//! What was used up, in memory.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use async_trait::async_trait;

use super::MemoryIndex;
use crate::error::IndexError;
use crate::single_use::{SingleUse, UseDigest, remember_ms};

#[derive(Default)]
pub(super) struct Used {
    remembered: HashSet<UseDigest>,
    /// The same by end, to forget what has ended without looking at what has not.
    ends: BTreeSet<(u64, [u8; 32])>,
}

impl Used {
    fn forget_ended(&mut self, now_ms: u64) {
        while let Some(&(until_ms, digest)) = self.ends.first() {
            if until_ms > now_ms {
                break;
            }
            self.ends.pop_first();
            self.remembered.remove(&UseDigest(digest));
        }
    }
}

#[async_trait]
impl SingleUse for MemoryIndex {
    async fn consume(&self, what: UseDigest, remember: Duration) -> Result<bool, IndexError> {
        let now_ms = self.clock.now_us() / 1_000;
        let mut state = self.lock();
        state.used.forget_ended(now_ms);
        let first = state.used.remembered.insert(what);
        if first {
            state.used.ends.insert((now_ms + remember_ms(remember), what.0));
        }
        Ok(first)
    }
}
