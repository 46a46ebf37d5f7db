//! The published public keys, kept at hand.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokenbind_index::{Clock, DocumentKind, IndexError, Store};
use tokio::sync::{Mutex, MutexGuard};

use super::signing_key::SigningKey;

/// A known key is looked up again after this long, in microseconds: how long a withdrawn key can go on verifying.
const REFRESH_US: u64 = 30_000_000;
/// An unknown `kid` makes the keys load at most once in this time, in microseconds …
const LOAD_INTERVAL_US: u64 = 1_000_000;
/// … after a few loads at once: whoever sends made-up ones should not keep a new key waiting at the first attempt.
const LOAD_BURST_US: u64 = 4 * LOAD_INTERVAL_US;
/// More keys than that are not read; no installation has as many, and each costs memory.
const MAX_KEYS: usize = 1_000;
const PAGE: usize = 100;

/// The keys by `kid`.
pub(super) struct KeySet {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    loaded: ArcSwap<Loaded>,
    loading: Mutex<Loading>,
}

#[derive(Default)]
struct Loaded {
    keys: HashMap<String, Arc<SigningKey>>,
    /// When they were, on the monotonic clock, in microseconds; 0 for never.
    at_us: u64,
}

/// When the keys may be loaded next, and how it went last.
#[derive(Default)]
struct Loading {
    /// The theoretical arrival time of the generic cell rate algorithm, on the monotonic clock.
    next_us: u64,
    failed: Option<IndexError>,
}

impl Loading {
    fn allows(&mut self, now_us: u64) -> bool {
        if now_us < self.next_us.saturating_sub(LOAD_BURST_US) {
            return false;
        }
        self.next_us = self.next_us.max(now_us) + LOAD_INTERVAL_US;
        true
    }

    /// One attempt is enough for everybody who waits: the others hear of its failure at once.
    fn fail(&mut self, now_us: u64, error: IndexError) {
        self.next_us = now_us + LOAD_BURST_US + LOAD_INTERVAL_US;
        self.failed = Some(error);
    }
}

impl KeySet {
    pub(super) fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            clock,
            loaded: ArcSwap::default(),
            loading: Mutex::default(),
        }
    }

    /// A key, if it is published and live. Nothing that a token says is part of a query: all keys are loaded or none.
    ///
    /// # Errors
    /// The keys that are at hand do not answer it, and the index cannot be asked.
    pub(super) async fn find(&self, kid: &str) -> Result<Option<Arc<SigningKey>>, IndexError> {
        if let Some(key) = self.at_hand(kid) {
            let due = self.clock.monotonic_us() >= self.loaded.load().at_us + REFRESH_US;
            // One caller loads, the others go on with what there is.
            if due && let Ok(loading) = self.loading.try_lock() {
                return self.refresh(kid, key, loading).await;
            }
            return Ok(Some(key));
        }
        let loading = self.loading.lock().await;
        // Somebody else may have loaded it meanwhile.
        if let Some(key) = self.at_hand(kid) {
            return Ok(Some(key));
        }
        self.load(loading).await?;
        Ok(self.at_hand(kid))
    }

    async fn refresh(
        &self,
        kid: &str,
        known: Arc<SigningKey>,
        loading: MutexGuard<'_, Loading>,
    ) -> Result<Option<Arc<SigningKey>>, IndexError> {
        match self.load(loading).await {
            Ok(()) => Ok(self.at_hand(kid)),
            // The token's own record has to be read as well: that decides whether anything can be answered.
            Err(_) => Ok(Some(known)),
        }
    }

    fn at_hand(&self, kid: &str) -> Option<Arc<SigningKey>> {
        let loaded = self.loaded.load();
        let key = loaded.keys.get(kid)?;
        key.is_live(self.clock.now_seconds()).then(|| Arc::clone(key))
    }

    /// Loads the keys, unless that was done often enough of late.
    async fn load(&self, mut loading: MutexGuard<'_, Loading>) -> Result<(), IndexError> {
        // The clock of the day may have been wrong, and then nothing would be loaded until it is that late.
        let now_us = self.clock.monotonic_us();
        if !loading.allows(now_us) {
            return loading.failed.clone().map_or(Ok(()), Err);
        }
        match self.read_all().await {
            Ok(keys) => {
                self.loaded.store(Arc::new(Loaded { keys, at_us: now_us }));
                loading.failed = None;
                Ok(())
            }
            Err(error) => {
                loading.fail(self.clock.monotonic_us(), error.clone());
                Err(error)
            }
        }
    }

    async fn read_all(&self) -> Result<HashMap<String, Arc<SigningKey>>, IndexError> {
        let mut keys = HashMap::new();
        let mut after: Option<String> = None;
        loop {
            let page = self
                .store
                .documents(DocumentKind::SigningKey, after.as_deref(), PAGE)
                .await?;
            let Some((last, _)) = page.last() else {
                return Ok(keys);
            };
            after = Some(last.clone());
            for (kid, document) in page {
                match SigningKey::from_record(&kid, &document.body) {
                    Ok(key) => drop(keys.insert(kid, Arc::new(key))),
                    Err(problem) => tracing::warn!(kid, %problem, "a published signing key is not used"),
                }
            }
            if keys.len() >= MAX_KEYS {
                tracing::warn!(limit = MAX_KEYS, "there are more signing keys than are used");
                return Ok(keys);
            }
        }
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySet").finish_non_exhaustive()
    }
}
