//! Redis's own word of what changes: RESP3 `CLIENT TRACKING` on a connection of its own to each primary.
//!
//! Each primary has a place with a session, a lease and a barrier of its own. When it is no longer the primary of something,
//! everything that was read from it is forgotten.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use futures::future::join_all;
use redis::{ErrorKind, PushInfo, PushKind, RedisError, ServerErrorKind, Value};
use tokenbind_proto::index::v1::TokenRecord;
use tokio::task::JoinHandle;

use super::barrier::Barrier;
use super::connector::Connector;
use super::documents::read_document;
use super::keys::Keys;
use super::options::ConnectError;
use super::session::{Heard, Session};
use super::tokens::{decode_token, read_record};
use super::topology::{Topology, redirected};
use super::{RedisOptions, index_error, session};
use crate::clock::Clock;
use crate::document::{Document, DocumentKind};
use crate::error::IndexError;
use crate::locator::Locator;
use crate::store::Revision;
use crate::tracking::{Changes, Confirmed, PLACES, Stamp, Stamped, TrackedIndex, place_of};

/// Whoever waits longer for a heartbeat does better to read.
const PATIENCE: Duration = Duration::from_millis(50);
/// How often a read goes where another server says that the key is.
const MAX_HOPS: u32 = 3;

/// Tracked connections to Redis, made again whenever they are lost.
pub struct RedisTracking {
    shared: Arc<Shared>,
    manager: JoinHandle<()>,
}

pub(super) struct Shared {
    pub(super) keys: Keys,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) lease: Duration,
    pub(super) changes: Changes,
    pub(super) topology: Topology,
    pub(super) places: Box<[Place]>,
    /// As many places were ever used.
    pub(super) used: AtomicUsize,
    pub(super) sessions: AtomicU64,
    /// Several primaries share the keys: what one of them says is said of its keys alone.
    many: bool,
}

/// What is known of one primary.
pub(super) struct Place {
    pub(super) session: ArcSwapOption<Session>,
    pub(super) barrier: Barrier,
    /// When the last heartbeat that was answered was sent, on the monotonic clock, plus 1; 0 is never.
    heard: AtomicU64,
    confirmed: AtomicU64,
    /// The same together, and of which session; it stays when the session ends.
    last_heard: ArcSwapOption<Heard>,
}

impl RedisTracking {
    /// Begins to track. What is read may be used for as long as heartbeats are answered, and `lease` beyond the last.
    ///
    /// # Errors
    /// When the URL is not one of Redis. That Redis does not answer is no error: it is tried again until it does.
    pub fn start(options: &RedisOptions, clock: Arc<dyn Clock>, lease: Duration) -> Result<Self, ConnectError> {
        let topology = Topology::new(Arc::new(Connector::new(options)?));
        let shared = Arc::new(Shared {
            keys: Keys::new(options.namespace.clone()),
            clock,
            lease,
            changes: Changes::new(),
            places: (0..PLACES).map(|_| Place::new()).collect(),
            used: AtomicUsize::new(0),
            sessions: AtomicU64::new(1),
            many: topology.is_shared(),
            topology,
        });
        let manager = tokio::spawn(session::manage(Arc::clone(&shared)));
        Ok(Self { shared, manager })
    }
}

impl Drop for RedisTracking {
    fn drop(&mut self) {
        self.manager.abort();
        // What drives their connections holds on to all of this.
        session::close_all(&self.shared);
    }
}

impl std::fmt::Debug for RedisTracking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RedisTracking")
    }
}

#[async_trait]
impl TrackedIndex for RedisTracking {
    async fn read_tracked(&self, locator: &Locator) -> Result<Stamped<Option<TokenRecord>>, IndexError> {
        let key = self.shared.keys.record(locator.home, locator.slot);
        let mut hops = 0;
        loop {
            let session = self.shared.session(&key)?;
            let stamp = self.shared.changes.stamp(session.number, &key);
            match read_record(&mut session.connection.clone(), &key).await {
                Ok(record) => {
                    let value = record.as_deref().map(decode_token).transpose()?;
                    return Ok(Stamped { value, stamp });
                }
                Err(error) => self.shared.follow(&session, &error, &mut hops)?,
            }
        }
    }

    async fn document_tracked(&self, kind: DocumentKind, id: &str) -> Result<Stamped<Option<Document>>, IndexError> {
        let key = self.shared.keys.document(kind, id);
        let mut hops = 0;
        loop {
            let session = self.shared.session(&key)?;
            let stamp = self.shared.changes.stamp(session.number, &key);
            match read_document(&mut session.connection.clone(), &key).await {
                Ok(value) => return Ok(Stamped { value, stamp }),
                Err(error) => self.shared.follow(&session, &error, &mut hops)?,
            }
        }
    }

    fn is_current(&self, stamp: &Stamp) -> bool {
        let shared = &*self.shared;
        // Of one primary, whoever asks has asked already whether it is heard.
        shared.changes.is_current(stamp) && (!shared.many || shared.is_heard(stamp))
    }

    fn confirmed(&self) -> Option<Confirmed> {
        self.shared.confirmed()
    }

    async fn confirm(&self) -> Result<Confirmed, IndexError> {
        let shared = &*self.shared;
        // Of a primary that has no session, nothing is used that is kept.
        let open = shared.places().iter().filter(|place| place.session.load().is_some());
        let heard: Vec<_> = open
            .map(|place| place.barrier.wait(|| place.session.load().is_some()))
            .collect();
        let heard = join_all(heard).await;
        let all = !heard.is_empty() && heard.iter().all(|heard| *heard);
        let confirmed = shared.confirmed().filter(|_| all);
        confirmed.ok_or_else(untold)
    }

    fn last_known(&self, stamp: &Stamp) -> Option<Confirmed> {
        let shared = &*self.shared;
        // Once another session was heard, whatever changed between the two was not told.
        let heard = shared.place(stamp)?.last_heard.load();
        let heard = heard
            .as_deref()
            .filter(|heard| shared.changes.is_last_of(heard.session, stamp))?;
        Some(Confirmed {
            revision: heard.revision,
            age_us: shared.clock.monotonic_us().saturating_sub(heard.sent_us),
        })
    }

    async fn changed(&self, stamp: &Stamp) {
        let heard = || self.shared.is_heard(stamp);
        self.shared.changes.changed(stamp, heard).await;
    }

    fn learned_token(&self, locator: &Locator) {
        let key = self.shared.keys.record(locator.home, locator.slot);
        self.shared.changes.tell(&key);
    }

    fn learned_document(&self, kind: DocumentKind, id: &str) {
        self.shared.changes.tell(&self.shared.keys.document(kind, id));
    }
}

fn untold() -> IndexError {
    IndexError::Unavailable("changes are not being told at the moment".to_owned())
}

impl Shared {
    pub(super) fn places(&self) -> &[Place] {
        self.places.get(..self.used.load(Ordering::Acquire)).unwrap_or_default()
    }

    fn place(&self, stamp: &Stamp) -> Option<&Place> {
        self.places.get(stamp.place())
    }

    fn is_heard(&self, stamp: &Stamp) -> bool {
        self.place(stamp).is_some_and(|place| place.confirmed(self).is_some())
    }

    /// The session with whoever has a key.
    fn session(&self, key: &[u8]) -> Result<Arc<Session>, IndexError> {
        let map = self.topology.map();
        let number = map.node(key).ok_or_else(untold)?.number;
        let mut sessions = self.places().iter().filter_map(|place| place.session.load_full());
        sessions
            .find(|session| session.node.number == number)
            .ok_or_else(untold)
    }

    /// After a read that failed: whether to try again, because the key is elsewhere.
    fn follow(&self, session: &Session, error: &RedisError, hops: &mut u32) -> Result<(), IndexError> {
        *hops += 1;
        if let (ErrorKind::Server(ServerErrorKind::Moved), Some((to, slot))) = (error.kind(), error.redirect_node())
            && let Some((host, port)) = redirected(to, &session.node)
            && *hops <= MAX_HOPS
        {
            self.topology.moved(slot, &host, port);
            return Ok(());
        }
        // Somewhere on the way: it is not told of there.
        Err(match error.kind() {
            ErrorKind::Server(ServerErrorKind::Ask) => untold(),
            _ => index_error(error),
        })
    }

    /// What all primaries that are heard have confirmed.
    pub(super) fn confirmed(&self) -> Option<Confirmed> {
        let confirmed = self.places().iter().filter_map(|place| place.confirmed(self));
        confirmed.reduce(|one, other| Confirmed {
            revision: one.revision.min(other.revision),
            age_us: one.age_us.max(other.age_us),
        })
    }

    pub(super) fn pushed(&self, session: u64, push: &PushInfo) {
        match push.kind {
            PushKind::Invalidate => match push.data.first() {
                Some(Value::Array(keys)) => {
                    for key in keys {
                        if let Value::BulkString(key) = key {
                            self.changes.tell(key);
                        }
                    }
                }
                // No list: Redis was flushed.
                _ => self.changes.tell_all(),
            },
            PushKind::Disconnection => self.end(session),
            _ => {}
        }
    }

    /// Nothing that was read in the session is used any more.
    pub(super) fn end(&self, session: u64) {
        if self.changes.end(session)
            && let Some(place) = self.places.get(place_of(session))
        {
            place.heard.store(0, Ordering::Release);
        }
    }
}

impl Place {
    fn new() -> Self {
        Self {
            session: ArcSwapOption::empty(),
            barrier: Barrier::new(PATIENCE),
            heard: AtomicU64::new(0),
            confirmed: AtomicU64::new(0),
            last_heard: ArcSwapOption::empty(),
        }
    }

    pub(super) fn confirmed(&self, shared: &Shared) -> Option<Confirmed> {
        // The revision first: a heartbeat in between makes the answer look older than it is, never younger.
        let revision = self.confirmed.load(Ordering::Acquire);
        let heard = self.heard.load(Ordering::Acquire).checked_sub(1)?;
        let age_us = shared.clock.monotonic_us().saturating_sub(heard);
        (u128::from(age_us) < shared.lease.as_micros()).then_some(Confirmed { revision, age_us })
    }

    /// Whether a heartbeat of the session in this place was answered.
    pub(super) fn has_been_heard(&self) -> bool {
        self.heard.load(Ordering::Acquire) > 0
    }

    /// A heartbeat was answered.
    pub(super) fn hear(&self, session: u64, sent_us: u64, revision: Revision) {
        self.confirmed.store(revision, Ordering::Release);
        self.heard.store(sent_us + 1, Ordering::Release);
        self.last_heard.store(Some(Arc::new(Heard {
            session,
            sent_us,
            revision,
        })));
    }
}
