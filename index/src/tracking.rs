//! Reads whose answers may be kept, because the store tells when they change.
//!
//! The hard part is a read and a change that cross each other: the change may be told before the answer is in. So a
//! [`Stamp`] is taken *before* the read is sent, every change that is told afterwards makes the stamp old, and what was read
//! is only ever used while its stamp is current. Nothing has to be removed when a change is told, and nothing can be
//! inserted too late.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokenbind_proto::index::v1::TokenRecord;
use tokio::sync::Notify;

use crate::document::{Document, DocumentKind};
use crate::error::IndexError;
use crate::locator::Locator;
use crate::store::Revision;

/// How many counters changes are told on. Two keys on one counter only cost a needless read: with a million kept answers,
/// each change makes about one other answer old.
const COUNTERS: usize = 1 << 20;

/// How many places can have a session at the same time.
pub(crate) const PLACES: usize = 256;

/// The state of the changes before a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    session: u64,
    counter: u32,
    version: u32,
}

impl Stamp {
    /// Where it was read.
    pub(crate) fn place(&self) -> usize {
        place_of(self.session)
    }
}

/// Each session has a number of its own, which says also where it is.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the rest is less than the number of places"
)]
pub(crate) fn place_of(session: u64) -> usize {
    (session % PLACES as u64) as usize
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

    /// Asks the store whether it was heard up to now: every change that was made before this was called has been told when
    /// it returns. What is kept and current then is as good as read.
    async fn confirm(&self) -> Result<Confirmed, IndexError>;

    /// Up to when the changes were known when the store was last heard, however long ago that is; `None` when a change of
    /// what was read has been told, or may have been missed.
    fn last_known(&self, stamp: &Stamp) -> Option<Confirmed>;

    /// Waits until what was read may be used no longer: a change of it was told, or the store is not heard. May also return
    /// for no reason.
    async fn changed(&self, stamp: &Stamp);

    /// A slot was read without being told of its changes, and is not as it was: what was read of it before may be used no
    /// longer, as if the change had been told. The telling may be late, and nobody is to hear first the new and then the old.
    fn learned_token(&self, locator: &Locator);

    /// The same of a document.
    fn learned_document(&self, kind: DocumentKind, id: &str);
}

/// The changes that were told, counted.
#[derive(Debug)]
pub(crate) struct Changes {
    counters: Box<[AtomicU32]>,
    hasher: RandomState,
    /// Of each place the session whose answers may be used; 0 is none.
    sessions: Box<[AtomicU64]>,
    watchers: Watchers,
}

impl Changes {
    pub(crate) fn new() -> Self {
        Self {
            counters: (0..COUNTERS).map(|_| AtomicU32::new(0)).collect(),
            hasher: RandomState::new(),
            sessions: (0..PLACES).map(|_| AtomicU64::new(0)).collect(),
            watchers: Watchers::default(),
        }
    }

    /// From now on the answers of this session may be used, and of its place no other's.
    pub(crate) fn begin(&self, session: u64) {
        self.session(session).store(session, Ordering::SeqCst);
        self.watchers.wake_all();
    }

    /// What is known of the place of a session.
    fn session(&self, session: u64) -> &AtomicU64 {
        &self.sessions[place_of(session)]
    }

    /// Everything may have changed.
    pub(crate) fn tell_all(&self) {
        for counter in &self.counters {
            counter.fetch_add(1, Ordering::SeqCst);
        }
        self.watchers.wake_all();
    }

    /// Forgets everything that was read in this session, if its answers are used.
    pub(crate) fn end(&self, session: u64) -> bool {
        let ended = self
            .session(session)
            .compare_exchange(session, 0, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok();
        if ended {
            self.watchers.wake_all();
        }
        ended
    }

    /// Everybody who waits for a change is to look whether the store is still heard.
    pub(crate) fn unheard(&self) {
        self.watchers.wake_all();
    }

    /// Waits until a stamp is old, or [`Self::unheard`]. `heard` is asked once the wait can be woken.
    pub(crate) async fn changed(&self, stamp: &Stamp, heard: impl Fn() -> bool) {
        let watched = Watched::new(&self.watchers, stamp.counter);
        let mut woken = std::pin::pin!(watched.notify.notified());
        woken.as_mut().enable();
        // A change before this line is seen here, one after it wakes.
        if self.is_current(stamp) && heard() {
            woken.await;
        }
    }

    /// Whether no change was told of what was read, in this session or, when it has ended, up to its end.
    pub(crate) fn is_last_of(&self, session: u64, stamp: &Stamp) -> bool {
        session == stamp.session && self.version(stamp.counter) == stamp.version
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
        let number = self.counter(key);
        if let Some(counter) = self.counters.get(number as usize) {
            counter.fetch_add(1, Ordering::SeqCst);
            self.watchers.wake(number);
        }
    }

    pub(crate) fn is_current(&self, stamp: &Stamp) -> bool {
        self.session(stamp.session).load(Ordering::SeqCst) == stamp.session
            && self.version(stamp.counter) == stamp.version
    }

    #[expect(clippy::cast_possible_truncation, reason = "the counters are fewer than 2^32")]
    fn counter(&self, key: &[u8]) -> u32 {
        (self.hasher.hash_one(key) % COUNTERS as u64) as u32
    }

    fn version(&self, counter: u32) -> u32 {
        self.counters
            .get(counter as usize)
            .map_or(0, |counter| counter.load(Ordering::SeqCst))
    }
}

/// Who waits for which counter. While nobody does, a change that is told costs one load more.
#[derive(Debug, Default)]
struct Watchers {
    /// Raised before a waiter looks at its stamp, as counters are before this is looked at: one of the two sees the other.
    waiting: AtomicUsize,
    by_counter: Mutex<HashMap<u32, (Arc<Notify>, usize)>>,
}

impl Watchers {
    fn wake(&self, counter: u32) {
        if self.waiting.load(Ordering::SeqCst) > 0
            && let Some((notify, _)) = self.lock().get(&counter)
        {
            notify.notify_waiters();
        }
    }

    fn wake_all(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            for (notify, _) in self.lock().values() {
                notify.notify_waiters();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u32, (Arc<Notify>, usize)>> {
        // An entry is whole or not there, so a panic elsewhere does not spoil it.
        self.by_counter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who waits for a counter, for as long as it is not dropped.
struct Watched<'a> {
    watchers: &'a Watchers,
    counter: u32,
    notify: Arc<Notify>,
}

impl<'a> Watched<'a> {
    fn new(watchers: &'a Watchers, counter: u32) -> Self {
        let mut by_counter = watchers.lock();
        let (notify, count) = by_counter.entry(counter).or_default();
        *count += 1;
        let notify = Arc::clone(notify);
        drop(by_counter);
        watchers.waiting.fetch_add(1, Ordering::SeqCst);
        Self {
            watchers,
            counter,
            notify,
        }
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.watchers.waiting.fetch_sub(1, Ordering::SeqCst);
        if let Entry::Occupied(mut entry) = self.watchers.lock().entry(self.counter) {
            entry.get_mut().1 -= 1;
            if entry.get().1 == 0 {
                entry.remove();
            }
        }
    }
}
