//! Reads whose answers may be kept, because the store tells when they change.
//!
//! The hard part is a read and a change that cross each other: the change may be told before the answer is in. So a
//! [`Stamp`] is taken *before* the read is sent, every change that is told afterwards makes the stamp old, and what was read
//! is only ever used while its stamp is current. Nothing has to be removed when a change is told, and nothing can be
//! inserted too late.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use async_trait::async_trait;
use tokenbind_proto::index::v1::TokenRecord;

use crate::document::{Document, DocumentKind};
use crate::error::IndexError;
use crate::locator::Locator;
use crate::store::Revision;

/// How many counters changes are told on. Two keys on one counter only cost a needless read: with a million kept answers,
/// each change makes about one other answer old.
const COUNTERS: usize = 1 << 20;

/// The state of the changes before a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    session: u64,
    counter: u32,
    version: u32,
}

/// What was read, and from when.
#[derive(Clone, Debug)]
pub struct Stamped<T> {
    /// What was read.
    pub value: T,
    /// Taken before the read.
    pub stamp: Stamp,
}

/// Up to when the changes are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmed {
    /// By the store's clock: every change up to here was told.
    pub revision: Revision,
    /// How long ago that was asked, in microseconds.
    pub age_us: u64,
}

/// A store that tells what changes after it was read.
#[async_trait]
pub trait TrackedIndex: Send + Sync + 'static {
    /// As [`crate::BindingIndex::read`].
    async fn read_tracked(&self, locator: &Locator) -> Result<Stamped<Option<TokenRecord>>, IndexError>;

    /// As [`crate::DocumentStore::document`].
    async fn document_tracked(&self, kind: DocumentKind, id: &str) -> Result<Stamped<Option<Document>>, IndexError>;

    /// Whether no change of what was read has been told since. Only worth something together with
    /// [`Self::confirmed`]: a store that is cut off tells nothing.
    fn is_current(&self, stamp: &Stamp) -> bool;

    /// Up to when the changes are known; `None` when the store was not heard for longer than it may be.
    fn confirmed(&self) -> Option<Confirmed>;
}

/// The changes that were told, counted.
#[derive(Debug)]
pub(crate) struct Changes {
    counters: Box<[AtomicU32]>,
    hasher: RandomState,
    /// The session whose answers may be used; 0 is none.
    session: AtomicU64,
}

impl Changes {
    pub(crate) fn new() -> Self {
        Self {
            counters: (0..COUNTERS).map(|_| AtomicU32::new(0)).collect(),
            hasher: RandomState::new(),
            session: AtomicU64::new(0),
        }
    }

    /// From now on the answers of this session may be used, and no other's.
    pub(crate) fn begin(&self, session: u64) {
        self.session.store(session, Ordering::SeqCst);
    }

    /// Everything may have changed.
    pub(crate) fn tell_all(&self) {
        for counter in &self.counters {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Forgets everything, if this session is the one whose answers are used.
    pub(crate) fn end(&self, session: u64) -> bool {
        self.session
            .compare_exchange(session, 0, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
    }

    /// To be taken before the read is sent.
    pub(crate) fn stamp(&self, session: u64, key: &[u8]) -> Stamp {
        let counter = self.counter(key);
        Stamp {
            session,
            counter,
            version: self.version(counter),
        }
    }

    pub(crate) fn tell(&self, key: &[u8]) {
        if let Some(counter) = self.counters.get(self.counter(key) as usize) {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    }

    pub(crate) fn is_current(&self, stamp: &Stamp) -> bool {
        self.session.load(Ordering::Acquire) == stamp.session && self.version(stamp.counter) == stamp.version
    }

    #[expect(clippy::cast_possible_truncation, reason = "the counters are fewer than 2^32")]
    fn counter(&self, key: &[u8]) -> u32 {
        (self.hasher.hash_one(key) % COUNTERS as u64) as u32
    }

    fn version(&self, counter: u32) -> u32 {
        self.counters
            .get(counter as usize)
            .map_or(0, |counter| counter.load(Ordering::Acquire))
    }
}
