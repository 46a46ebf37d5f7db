//! The embedded store: for development, where nothing is to be installed, and the model that every other store is held to.
//!
//! Everything is in this process and gone with it. Operations run one after the other under one lock, which makes each an
//! atomic step.

mod attempts;
mod documents;
mod families;
mod single_use;
mod tokens;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokenbind_proto::index::v1::TokenRecord;

use crate::clock::Clock;
use crate::document::{Document, DocumentKind, DocumentStore as _};
use crate::error::IndexError;
use crate::locator::Locator;
use crate::store::{BindingIndex as _, Revision};
use crate::tracking::{Changes, Confirmed, Stamp, Stamped, TrackedIndex};

/// An index in memory.
#[derive(Clone)]
pub struct MemoryIndex {
    clock: Arc<dyn Clock>,
    changes: Arc<Changes>,
    state: Arc<Mutex<State>>,
}

/// Within one process nothing can be cut off: there is one session, and it does not end.
const SESSION: u64 = 1;

struct State {
    last_revision: Revision,
    tokens: tokens::Tokens,
    documents: documents::Documents,
    attempts: attempts::Attempts,
    used: single_use::Used,
}

impl MemoryIndex {
    /// An empty index whose records live by `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let changes = Arc::new(Changes::new());
        changes.begin(SESSION);
        let state = State {
            last_revision: 0,
            tokens: tokens::Tokens::new(Arc::clone(&changes)),
            documents: documents::Documents::new(Arc::clone(&changes)),
            attempts: attempts::Attempts::default(),
            used: single_use::Used::default(),
        };
        Self {
            clock,
            changes,
            state: Arc::new(Mutex::new(state)),
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

#[async_trait]
impl TrackedIndex for MemoryIndex {
    async fn read_tracked(&self, locator: &Locator) -> Result<Stamped<Option<TokenRecord>>, IndexError> {
        let stamp = self.changes.stamp(SESSION, &tokens::key(locator.home, locator.slot));
        Ok(Stamped {
            value: self.read(locator).await?,
            stamp,
        })
    }

    async fn document_tracked(&self, kind: DocumentKind, id: &str) -> Result<Stamped<Option<Document>>, IndexError> {
        let stamp = self.changes.stamp(SESSION, &documents::key(kind, id));
        Ok(Stamped {
            value: self.document(kind, id).await?,
            stamp,
        })
    }

    fn is_current(&self, stamp: &Stamp) -> bool {
        self.changes.is_current(stamp)
    }

    fn confirmed(&self) -> Option<Confirmed> {
        Some(Confirmed {
            revision: self.clock.now_us().max(self.lock().last_revision),
            age_us: 0,
        })
    }

    async fn confirm(&self) -> Result<Confirmed, IndexError> {
        self.confirmed()
            .ok_or_else(|| IndexError::Unavailable("it is in this process".to_owned()))
    }

    fn last_known(&self, stamp: &Stamp) -> Option<Confirmed> {
        self.confirmed().filter(|_| self.is_current(stamp))
    }

    async fn changed(&self, stamp: &Stamp) {
        self.changes.changed(stamp, || true).await;
    }

    fn learned_token(&self, locator: &Locator) {
        self.changes.tell(&tokens::key(locator.home, locator.slot));
    }

    fn learned_document(&self, kind: DocumentKind, id: &str) {
        self.changes.tell(&documents::key(kind, id));
    }
}

impl std::fmt::Debug for MemoryIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MemoryIndex")
    }
}
