//! The embedded store: for development, where nothing is to be installed, and the model that every other store is held to.
//!
//! Everything is in this process and gone with it. Operations run one after the other under one lock, which makes each an
//! atomic step.

mod documents;
mod tokens;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::Clock;
use crate::store::Revision;

/// An index in memory.
#[derive(Clone)]
pub struct MemoryIndex {
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    last_revision: Revision,
    tokens: tokens::Tokens,
    documents: documents::Documents,
}

impl MemoryIndex {
    /// An empty index whose records live by `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            state: Arc::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No operation leaves the state half changed, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The instant of a write; no two writes share one.
    fn write_at(&self, state: &mut State) -> Revision {
        state.last_revision = self.clock.now_us().max(state.last_revision + 1);
        state.last_revision
    }
}

impl std::fmt::Debug for MemoryIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MemoryIndex")
    }
}
