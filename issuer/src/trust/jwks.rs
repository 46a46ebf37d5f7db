//! Keys of others: declared, or fetched and kept.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use tokenbind_index::Clock;
use tokenbind_jose::{Algorithm, PublicKey, PublicKeySet};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::fetch::Fetcher;

/// Kept keys are asked for again after this long, in microseconds: how long a key that was withdrawn can go on verifying.
pub(crate) const FRESH_US: u64 = 300_000_000;
/// For this much longer, callers go on with what is kept while one of them fetches.
const GRACE_US: u64 = 60_000_000;
/// While the URL does not answer, keys are good for this long. After that nothing verifies.
pub(crate) const GONE_US: u64 = 3_600_000_000;
/// An unknown `kid` makes the keys be fetched at most once in this time, in microseconds …
pub(crate) const INTERVAL_US: u64 = 10_000_000;
/// … after a few fetches at once: whoever sends made-up ones should not keep a new key waiting at the first attempt.
pub(crate) const BURST_US: u64 = 2 * INTERVAL_US;

/// No keys are at hand, and they cannot be had now. The text is for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unreachable(pub(crate) String);

/// Finds keys.
#[derive(Debug)]
pub(crate) enum KeySource {
    /// They do not change.
    Fixed(PublicKeySet),
    /// They are fetched.
    Remote(Arc<RemoteKeys>),
}

impl KeySource {
    /// The key of this name and algorithm, if there is one. Nothing that a token says is part of a request.
    pub(crate) async fn find(&self, kid: Option<&str>, alg: &str) -> Result<Option<Arc<PublicKey>>, Unreachable> {
        match self {
            Self::Fixed(keys) => Ok(keys.find(kid, alg).cloned()),
            Self::Remote(keys) => keys.find(kid, alg).await,
        }
    }
}

/// The keys of one URL.
pub(crate) struct RemoteKeys {
    fetcher: Fetcher,
    algorithms: Vec<Algorithm>,
    clock: Arc<dyn Clock>,
    loaded: ArcSwapOption<Loaded>,
    loading: Arc<Mutex<Loading>>,
}

struct Loaded {
    keys: PublicKeySet,
    at_us: u64,
}

/// When the keys may be fetched next, and how it went last.
#[derive(Default)]
struct Loading {
    /// The theoretical arrival time of the generic cell rate algorithm.
    next_us: u64,
    failed: Option<Unreachable>,
}

impl Loading {
    fn allows(&mut self, now_us: u64) -> bool {
        if now_us < self.next_us.saturating_sub(BURST_US) {
            return false;
        }
        self.next_us = self.next_us.max(now_us) + INTERVAL_US;
        true
    }

    /// One attempt is enough for everybody who waits: the others hear of its failure at once.
    fn fail(&mut self, now_us: u64, why: Unreachable) {
        self.next_us = self.next_us.max(now_us + BURST_US + INTERVAL_US / 2);
        self.failed = Some(why);
    }
}

impl RemoteKeys {
    /// What this URL has; nothing is fetched yet.
    pub(crate) fn new(fetcher: Fetcher, algorithms: Vec<Algorithm>, clock: Arc<dyn Clock>) -> Self {
        Self {
            fetcher,
            algorithms,
            clock,
            loaded: ArcSwapOption::empty(),
            loading: Arc::default(),
        }
    }

    async fn find(self: &Arc<Self>, kid: Option<&str>, alg: &str) -> Result<Option<Arc<PublicKey>>, Unreachable> {
        if let Some((key, age_us)) = self.at_hand(kid, alg) {
            if age_us < FRESH_US {
                return Ok(Some(key));
            }
            let loading = match Arc::clone(&self.loading).try_lock_owned() {
                Ok(loading) => loading,
                Err(_) if age_us < FRESH_US + GRACE_US => return Ok(Some(key)),
                Err(_) => Arc::clone(&self.loading).lock_owned().await,
            };
            return match self.load(loading).await {
                Ok(()) => Ok(self.at_hand(kid, alg).map(|(key, _)| key)),
                // Withdrawn or not cannot be known now; an outage there is none here, for a while.
                Err(_) => Ok(Some(key)),
            };
        }
        let loading = Arc::clone(&self.loading).lock_owned().await;
        // Somebody else may have fetched it meanwhile.
        if let Some((key, _)) = self.at_hand(kid, alg) {
            return Ok(Some(key));
        }
        self.load(loading).await?;
        Ok(self.at_hand(kid, alg).map(|(key, _)| key))
    }

    /// A kept key, and how long ago it was fetched.
    fn at_hand(&self, kid: Option<&str>, alg: &str) -> Option<(Arc<PublicKey>, u64)> {
        let loaded = self.loaded.load();
        let loaded = loaded.as_ref()?;
        let age_us = self.clock.monotonic_us().saturating_sub(loaded.at_us);
        let key = loaded.keys.find(kid, alg).filter(|_| age_us < GONE_US)?;
        Some((Arc::clone(key), age_us))
    }

    /// Fetches the keys, unless that was done often enough of late. In a task of its own: a caller that hangs up ends neither the
    /// fetch nor the turn of those who wait for it.
    async fn load(self: &Arc<Self>, loading: OwnedMutexGuard<Loading>) -> Result<(), Unreachable> {
        let keys = Arc::clone(self);
        let done = tokio::spawn(async move { keys.load_now(loading).await }).await;
        done.unwrap_or_else(|error| Err(Unreachable(error.to_string())))
    }

    async fn load_now(&self, mut loading: OwnedMutexGuard<Loading>) -> Result<(), Unreachable> {
        let now_us = self.clock.monotonic_us();
        if !loading.allows(now_us) {
            return loading.failed.clone().map_or(Ok(()), Err);
        }
        match self.fetch().await {
            Ok(keys) => {
                // As of the moment of asking: what changed since is not in the answer.
                self.loaded.store(Some(Arc::new(Loaded { keys, at_us: now_us })));
                loading.failed = None;
                Ok(())
            }
            Err(why) => {
                tracing::warn!(fetcher = ?self.fetcher, why = why.0, "the keys of somebody trusted cannot be fetched");
                loading.fail(self.clock.monotonic_us(), why.clone());
                Err(why)
            }
        }
    }

    async fn fetch(&self) -> Result<PublicKeySet, Unreachable> {
        let body = self.fetcher.fetch().await.map_err(Unreachable)?;
        PublicKeySet::from_json(&body, &self.algorithms)
            .map_err(|bad| Unreachable(format!("the answer is no JWK Set that can be used: {bad}")))
    }
}

impl std::fmt::Debug for RemoteKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteKeys")
            .field("fetcher", &self.fetcher)
            .finish_non_exhaustive()
    }
}
