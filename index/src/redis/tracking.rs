//! Redis's own word of what changes: RESP3 `CLIENT TRACKING` on a connection of its own.
//!
//! Reads and invalidations share the connection, and the handler of invalidations runs where the connection is read, before
//! any answer that came after them is handed on. So when the answer to a heartbeat is in, every invalidation that Redis
//! sent before it was counted.
//!
//! Anything that breaks the connection ends its session, and with it the use of everything that was read on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, PushInfo, PushKind, Value};
use tokenbind_proto::index::v1::TokenRecord;
use tokio::task::JoinHandle;
use tokio::time;

use super::barrier::Barrier;
use super::connect::{self, ConnectError};
use super::documents::read_document;
use super::keys::Keys;
use super::tokens::read_token;
use super::{RedisOptions, index_error};
use crate::clock::Clock;
use crate::document::{Document, DocumentKind};
use crate::error::IndexError;
use crate::locator::Locator;
use crate::store::Revision;
use crate::tracking::{Changes, Confirmed, Stamp, Stamped, TrackedIndex};

/// How long the pauses between attempts to connect become at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Heartbeats within a lease: one may be late without its lapsing.
const HEARTBEATS: u32 = 4;

/// A tracked connection to Redis, made again whenever it is lost.
pub struct RedisTracking {
    shared: Arc<Shared>,
    supervisor: JoinHandle<()>,
}

struct Shared {
    keys: Keys,
    clock: Arc<dyn Clock>,
    lease: Duration,
    changes: Changes,
    session: ArcSwapOption<Session>,
    barrier: Barrier,
    /// When the last heartbeat that was answered was sent, on the monotonic clock, plus 1; 0 is never.
    heard: AtomicU64,
    confirmed: AtomicU64,
    /// The same together, and of which session; it stays when the session ends.
    last_heard: ArcSwapOption<Heard>,
}

/// A heartbeat that was answered.
struct Heard {
    session: u64,
    sent_us: u64,
    revision: Revision,
}

struct Session {
    number: u64,
    connection: MultiplexedConnection,
}

impl RedisTracking {
    /// Begins to track. What is read may be used for as long as heartbeats are answered, and `lease` beyond the last.
    ///
    /// # Errors
    /// When the URL is not one of Redis. That Redis does not answer is no error: it is tried again until it does.
    pub fn start(options: &RedisOptions, clock: Arc<dyn Clock>, lease: Duration) -> Result<Self, ConnectError> {
        let client = connect::client(options, redis::ProtocolVersion::RESP3)?;
        let shared = Arc::new(Shared {
            keys: Keys::new(options.namespace.clone()),
            clock,
            lease,
            changes: Changes::new(),
            session: ArcSwapOption::empty(),
            barrier: Barrier::new(),
            heard: AtomicU64::new(0),
            confirmed: AtomicU64::new(0),
            last_heard: ArcSwapOption::empty(),
        });
        let supervisor = tokio::spawn(supervise(Arc::clone(&shared), client, options.clone()));
        Ok(Self { shared, supervisor })
    }

    fn session(&self) -> Result<Arc<Session>, IndexError> {
        let session = self.shared.session.load_full();
        session.ok_or_else(|| IndexError::Unavailable("changes are not being told at the moment".to_owned()))
    }
}

impl Drop for RedisTracking {
    fn drop(&mut self) {
        self.supervisor.abort();
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
        let session = self.session()?;
        let key = self.shared.keys.record(locator.home, locator.slot);
        let stamp = self.shared.changes.stamp(session.number, &key);
        let value = read_token(&mut session.connection.clone(), key).await?;
        Ok(Stamped { value, stamp })
    }

    async fn document_tracked(&self, kind: DocumentKind, id: &str) -> Result<Stamped<Option<Document>>, IndexError> {
        let session = self.session()?;
        let key = self.shared.keys.document(kind, id);
        let stamp = self.shared.changes.stamp(session.number, &key);
        let value = read_document(&mut session.connection.clone(), key).await?;
        Ok(Stamped { value, stamp })
    }

    fn is_current(&self, stamp: &Stamp) -> bool {
        self.shared.changes.is_current(stamp)
    }

    fn confirmed(&self) -> Option<Confirmed> {
        self.shared.confirmed()
    }

    async fn confirm(&self) -> Result<Confirmed, IndexError> {
        let shared = &*self.shared;
        let heard = shared.barrier.wait(|| shared.session.load().is_some()).await;
        let confirmed = shared.confirmed().filter(|_| heard);
        confirmed.ok_or_else(|| IndexError::Unavailable("changes are not being told at the moment".to_owned()))
    }

    fn last_known(&self, stamp: &Stamp) -> Option<Confirmed> {
        let shared = &*self.shared;
        // Once another session was heard, whatever changed between the two was not told.
        let heard = shared.last_heard.load();
        let heard = heard
            .as_deref()
            .filter(|heard| shared.changes.is_last_of(heard.session, stamp))?;
        Some(Confirmed {
            revision: heard.revision,
            age_us: shared.clock.monotonic_us().saturating_sub(heard.sent_us),
        })
    }

    async fn changed(&self, stamp: &Stamp) {
        let heard = || self.shared.confirmed().is_some();
        self.shared.changes.changed(stamp, heard).await;
    }
}

impl Shared {
    fn confirmed(&self) -> Option<Confirmed> {
        // The revision first: a heartbeat in between makes the answer look older than it is, never younger.
        let revision = self.confirmed.load(Ordering::Acquire);
        let heard = self.heard.load(Ordering::Acquire).checked_sub(1)?;
        let age_us = self.clock.monotonic_us().saturating_sub(heard);
        (u128::from(age_us) < self.lease.as_micros()).then_some(Confirmed { revision, age_us })
    }

    fn pushed(&self, session: u64, push: &PushInfo) {
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
    fn end(&self, session: u64) {
        if self.changes.end(session) {
            self.heard.store(0, Ordering::Release);
        }
    }
}

/// Keeps a session up for as long as it is not aborted.
async fn supervise(shared: Arc<Shared>, client: redis::Client, options: RedisOptions) {
    let mut pause = FIRST_PAUSE;
    // The same trouble is told once, however often it is tried again.
    let mut trouble = String::new();
    for number in 1.. {
        match open(&shared, &client, &options, number).await {
            Ok(session) => {
                pause = FIRST_PAUSE;
                trouble.clear();
                tracing::info!("changes of the index are being told");
                let error = tokio::select! {
                    error = keep(&shared, &session) => error,
                    never = tell_lapses(&shared) => match never {},
                };
                tracing::warn!(%error, "changes of the index are no longer told");
            }
            Err(error) => {
                let error = index_error(&error).to_string();
                if error != trouble {
                    tracing::warn!(error, "changes of the index cannot be told");
                    trouble = error;
                }
            }
        }
        shared.end(number);
        shared.session.store(None);
        shared.barrier.unheard();
        time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn open(
    shared: &Arc<Shared>,
    client: &redis::Client,
    options: &RedisOptions,
    number: u64,
) -> redis::RedisResult<Arc<Session>> {
    let pushed = Arc::clone(shared);
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(options.connection_timeout))
        .set_response_timeout(Some(options.response_timeout))
        .set_push_sender(move |push: PushInfo| {
            pushed.pushed(number, &push);
            Ok::<(), std::convert::Infallible>(())
        });
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    redis::cmd("CLIENT")
        .arg(&["TRACKING", "ON"])
        .exec_async(&mut connection)
        .await?;
    let session = Arc::new(Session { number, connection });
    shared.changes.begin(number);
    shared.session.store(Some(Arc::clone(&session)));
    heartbeat(shared, &session).await?;
    Ok(session)
}

/// Sends heartbeats until none was answered for a lease.
async fn keep(shared: &Shared, session: &Session) -> IndexError {
    let mut ticks = time::interval(shared.lease / HEARTBEATS);
    ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shared.barrier.wanted() => {}
        }
        let came = shared.barrier.came();
        match heartbeat(shared, session).await {
            Ok(()) => shared.barrier.heard(came),
            Err(error) => {
                shared.barrier.unheard();
                if error.is_unrecoverable_error() || shared.confirmed().is_none() {
                    return index_error(&error);
                }
            }
        }
    }
}

/// Wakes whoever waits for a change when the lease lapses, which nothing else tells at that moment. One timer for all of them.
async fn tell_lapses(shared: &Shared) -> std::convert::Infallible {
    loop {
        let left = shared.confirmed().map(|confirmed| {
            let age = Duration::from_micros(confirmed.age_us);
            shared.lease.saturating_sub(age)
        });
        if left.is_none() {
            shared.changes.unheard();
        }
        // Not shorter than the timer can tell apart.
        time::sleep(left.unwrap_or(shared.lease / HEARTBEATS).max(Duration::from_millis(1))).await;
    }
}

/// Asks for the time: the answer comes behind every invalidation that was sent before it.
async fn heartbeat(shared: &Shared, session: &Session) -> redis::RedisResult<()> {
    let sent = shared.clock.monotonic_us();
    let (seconds, micros): (Revision, Revision) =
        redis::cmd("TIME").query_async(&mut session.connection.clone()).await?;
    let revision = seconds * 1_000_000 + micros;
    shared.confirmed.store(revision, Ordering::Release);
    shared.heard.store(sent + 1, Ordering::Release);
    shared.last_heard.store(Some(Arc::new(Heard {
        session: session.number,
        sent_us: sent,
        revision,
    })));
    Ok(())
}
