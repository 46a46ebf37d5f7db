//! Facts of tokens, kept for as long as the index tells their changes.
//!
//! What is kept is facts, never a verdict (V13): time, application and policy are judged on every call.

use std::sync::Arc;

use quick_cache::sync::{Cache, DefaultLifecycle, PlaceholderGuard};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use tokenbind_index::{Clock, TokenDigest, TrackedIndex};
use tokenbind_proto::v1::Reason;

use super::KnownToken;

/// What may be kept at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheLimits {
    /// Tokens.
    pub entries: u64,
    /// Memory, in bytes, as far as it is in the facts.
    pub bytes: u64,
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self {
            entries: 1_000_000,
            bytes: 512 << 20,
        }
    }
}

/// For how long a token that is not live is remembered, in microseconds: long enough that a client that keeps trying does
/// not load the index.
const REFUSED_US: u64 = 1_000_000;
/// How many of them.
const MAX_REFUSED: usize = 10_000;

/// What was found out of a token that is not live.
#[derive(Clone, Copy)]
struct Refused {
    reason: Reason,
    until_us: u64,
}

pub(super) struct FactCache {
    tracking: Arc<dyn TrackedIndex>,
    clock: Arc<dyn Clock>,
    live: Cache<TokenDigest, Arc<KnownToken>, Weight>,
    refused: Cache<TokenDigest, Refused>,
}

/// What a look-up found.
pub(super) enum Found<'a> {
    /// Facts that may be used.
    Live(Arc<KnownToken>),
    /// It was not live a moment ago, and a dead token does not come back.
    Refused(Reason),
    /// Nothing, and nobody else is looking: the index has to be read, and the others wait for what comes of it.
    Missing(Vacancy<'a>),
    /// Facts from before the index fell silent: it has to be read, and they stay for those who may use them meanwhile.
    Unheard,
}

type Guard<'a> = PlaceholderGuard<
    'a,
    TokenDigest,
    Arc<KnownToken>,
    Weight,
    DefaultHashBuilder,
    DefaultLifecycle<TokenDigest, Arc<KnownToken>>,
>;

/// The place of facts that are being read.
pub(super) struct Vacancy<'a> {
    cache: &'a FactCache,
    digest: TokenDigest,
    guard: Guard<'a>,
}

impl Vacancy<'_> {
    pub(super) fn fill(self, entry: Arc<KnownToken>) {
        // An error says that the cache was changed meanwhile; then the facts are read again next time.
        let _ = self.guard.insert(entry);
    }

    pub(super) fn refuse(self, reason: Reason) {
        let until_us = self.cache.clock.monotonic_us() + REFUSED_US;
        self.cache.refused.insert(self.digest, Refused { reason, until_us });
    }
}

impl FactCache {
    pub(super) fn new(tracking: Arc<dyn TrackedIndex>, clock: Arc<dyn Clock>, limits: CacheLimits) -> Option<Self> {
        let entries = usize::try_from(limits.entries).unwrap_or(usize::MAX);
        let least = limits.bytes.checked_div(limits.entries)?.max(1);
        let options = OptionsBuilder::new()
            .estimated_items_capacity(entries)
            .weight_capacity(limits.bytes)
            .build()
            .ok()?;
        Some(Self {
            tracking,
            clock,
            live: Cache::with_options(
                options,
                Weight { least },
                DefaultHashBuilder::default(),
                DefaultLifecycle::default(),
            ),
            refused: Cache::new(MAX_REFUSED),
        })
    }

    /// The facts that were read last, current or not.
    pub(super) fn last(&self, digest: &TokenDigest) -> Option<Arc<KnownToken>> {
        self.live.get(digest)
    }

    /// The facts of a token, if they are kept and may be used.
    pub(super) fn current(&self, digest: &TokenDigest) -> Option<Arc<KnownToken>> {
        let token = self.live.get(digest)?;
        let current = self.tracking.is_current(&token.kept()?.stamp);
        current.then_some(token)
    }

    /// The facts of a token. With a miss, exactly one caller gets the vacancy; the others wait.
    pub(super) async fn find(&self, digest: &TokenDigest) -> Found<'_> {
        loop {
            if let Some(entry) = self.live.get(digest) {
                let stamp = entry.kept().map(|keeping| &keeping.stamp);
                if stamp.is_some_and(|stamp| self.tracking.is_current(stamp)) {
                    return Found::Live(entry);
                }
                if stamp.is_some_and(|stamp| self.tracking.last_known(stamp).is_some()) {
                    return Found::Unheard;
                }
                self.live.remove_if(digest, |kept| Arc::ptr_eq(kept, &entry));
            }
            if let Some(reason) = self.refusal(digest) {
                return Found::Refused(reason);
            }
            if let Err(guard) = self.live.get_value_or_guard_async(digest).await {
                // Whoever had the vacancy before may have found out that the token is dead: its place stays empty then.
                if let Some(reason) = self.refusal(digest) {
                    return Found::Refused(reason);
                }
                return Found::Missing(Vacancy {
                    cache: self,
                    digest: *digest,
                    guard,
                });
            }
        }
    }

    /// Why the token was refused a moment ago.
    fn refusal(&self, digest: &TokenDigest) -> Option<Reason> {
        let refused = self.refused.get(digest)?;
        (self.clock.monotonic_us() < refused.until_us).then_some(refused.reason)
    }
}

/// What an entry weighs: its bytes, and at least its share of the limit, so that both limits hold.
#[derive(Clone)]
struct Weight {
    least: u64,
}

impl Weighter<TokenDigest, Arc<KnownToken>> for Weight {
    fn weight(&self, _: &TokenDigest, entry: &Arc<KnownToken>) -> u64 {
        entry.bytes().max(self.least)
    }
}
