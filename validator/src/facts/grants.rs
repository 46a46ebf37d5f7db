//! What many tokens have in common, kept once for all of them.

use std::sync::Arc;

use quick_cache::sync::Cache;

use super::Grant;

/// More are not kept; each token of a further one has its own.
const MAX_KEPT: usize = 10_000;

pub(super) struct Grants(Cache<Arc<Grant>, Arc<Grant>>);

impl Grants {
    pub(super) fn new() -> Self {
        Self(Cache::new(MAX_KEPT))
    }

    /// The one that others have, if any has it.
    pub(super) fn shared(&self, grant: Grant) -> Arc<Grant> {
        self.0.get(&grant).unwrap_or_else(|| {
            let grant = Arc::new(grant);
            self.0.insert(Arc::clone(&grant), Arc::clone(&grant));
            grant
        })
    }
}
