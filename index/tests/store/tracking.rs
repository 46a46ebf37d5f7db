//! What may be kept of a read, and for how long.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokenbind_index::memory::MemoryIndex;
use tokenbind_index::redis::{RedisIndex, RedisOptions, RedisTracking};
use tokenbind_index::{Confirmed, DocumentKind, Expect, Namespace, Selection, Stamp, Store, SystemClock, TrackedIndex};
use tokenbind_tests::RedisServer;
use tokio::time::timeout;

use crate::harness::Servers;
use crate::samples::{Sample, home, of_device};

const LEASE: Duration = Duration::from_millis(1_500);
const LEASE_US: u64 = 1_500_000;
const PATIENCE: Duration = Duration::from_secs(10);

/// A store, and what tells its changes.
struct Tracked {
    store: Arc<dyn Store>,
    tracking: Arc<dyn TrackedIndex>,
    server: Option<RedisServer>,
}

impl Tracked {
    fn memory() -> Self {
        let memory = Arc::new(MemoryIndex::new(Arc::new(SystemClock)));
        Self {
            store: memory.clone(),
            tracking: memory,
            server: None,
        }
    }

    async fn redis() -> Self {
        Self::on(RedisServer::start()).await
    }

    async fn valkey() -> Self {
        Self::on(RedisServer::start_valkey()).await
    }

    async fn on(server: RedisServer) -> Self {
        let options = RedisOptions::new(server.url().into(), Namespace::default());
        Self::with(&options, Some(server)).await
    }

    async fn over(servers: &dyn Servers) -> Self {
        for server in servers.primaries() {
            ::redis::cmd("FLUSHALL").exec(&mut server.connection()).expect("flush");
        }
        Self::with(&servers.options(), None).await
    }

    async fn with(options: &RedisOptions, server: Option<RedisServer>) -> Self {
        let options = &RedisOptions {
            response_timeout: PATIENCE,
            connection_timeout: PATIENCE,
            ..options.clone()
        };
        let store = Arc::new(RedisIndex::connect(options).await.expect("connect"));
        let tracking = RedisTracking::start(options, Arc::new(SystemClock), LEASE).expect("a valid URL");
        let tracked = Self {
            store,
            tracking: Arc::new(tracking),
            server,
        };
        tracked
            .until("changes are told", || tracked.tracking.confirmed().is_some())
            .await;
        // Of several primaries, by each.
        let deadline = Instant::now() + PATIENCE;
        for subject in 0..16 {
            let locator = Sample {
                subject,
                ..Sample::default()
            };
            while tracked.tracking.read_tracked(&locator.locator()).await.is_err() {
                assert!(Instant::now() < deadline, "a primary does not tell changes");
                tokio::task::yield_now().await;
            }
        }
        tracked
    }

    fn server(&mut self) -> &mut RedisServer {
        self.server.as_mut().expect("a Redis")
    }

    async fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !holds() {
            assert!(Instant::now() < deadline, "waited in vain: {what}");
            tokio::task::yield_now().await;
        }
    }

    fn may_be_used(&self, stamp: &Stamp) -> bool {
        self.tracking.confirmed().is_some() && self.tracking.is_current(stamp)
    }

    /// A machine that has too much to do answers later than anybody waits.
    async fn confirm(&self) -> Confirmed {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.tracking.confirm().await {
                Ok(confirmed) => return confirmed,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
        }
    }

    async fn read(&self, sample: Sample) -> (bool, Stamp) {
        let read = self.tracking.read_tracked(&sample.locator()).await.expect("read");
        (read.value.is_some(), read.stamp)
    }
}

macro_rules! on_every_store {
    ($($promise:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test] async fn $promise() { super::$promise(super::Tracked::memory()).await; })+
        }
        mod redis {
            $(#[tokio::test] async fn $promise() { super::$promise(super::Tracked::redis().await).await; })+
        }
        mod valkey {
            $(#[tokio::test] async fn $promise() { super::$promise(super::Tracked::valkey().await).await; })+
        }
        /// On servers that are too much for each to have its own, one after the other.
        pub(crate) async fn every_promise(servers: &std::sync::Arc<dyn crate::harness::Servers>) {
            $(
                eprintln!("{}", stringify!($promise));
                Box::pin($promise(Tracked::over(servers.as_ref()).await)).await;
            )+
        }
    };
}

on_every_store!(
    every_change_of_a_token_is_told,
    every_change_of_a_document_is_told,
    no_change_crosses_a_read_unseen,
    a_change_wakes_who_waits_for_it,
    who_has_asked_was_told_of_every_change
);

/// Many ask at the same time, and share the answers.
async fn who_has_asked_was_told_of_every_change(on: Tracked) {
    let asks = (0..64_u8).map(|device| {
        let on = &on;
        async move {
            let sample = Sample {
                device,
                ..Sample::default()
            };
            for _ in 0..20 {
                let (_, before) = on.read(sample).await;
                on.store.issue(sample.issue()).await.expect("issue");
                let asked = on.confirm().await;
                assert!(!on.tracking.is_current(&before), "the change was not told");
                let (live, _) = on.read(sample).await;
                assert!(live && asked.age_us < LEASE_US);
                let again = on.confirm().await;
                assert!(again.revision >= asked.revision);
            }
        }
    });
    futures::future::join_all(asks).await;
}

async fn every_change_of_a_token_is_told(on: Tracked) {
    let sample = Sample {
        device: 1,
        ..Sample::default()
    };
    let (live, absent) = on.read(sample).await;
    assert!(!live && on.may_be_used(&absent));
    on.store.issue(sample.issue()).await.expect("issue");
    on.until("a token is issued", || !on.may_be_used(&absent)).await;

    let (live, first) = on.read(sample).await;
    assert!(live && on.may_be_used(&first));
    on.store
        .issue(Sample { serial: 2, ..sample }.issue())
        .await
        .expect("issue");
    on.until("a token is superseded", || !on.may_be_used(&first)).await;

    let (_, second) = on.read(sample).await;
    on.store
        .revoke_subject(home(1), of_device(1, 2))
        .await
        .expect("revoke another device");
    assert!(on.may_be_used(&second), "nothing of this token changed");
    on.store
        .revoke_subject(home(1), Selection::default())
        .await
        .expect("revoke");
    on.until("a token is revoked", || !on.may_be_used(&second)).await;
}

async fn every_change_of_a_document_is_told(on: Tracked) {
    let kind = DocumentKind::Application;
    let read = async || on.tracking.document_tracked(kind, "a").await.expect("read").stamp;
    let absent = read().await;
    on.store
        .put_document(kind, "a", Vec::new(), Expect::Any)
        .await
        .expect("put");
    on.until("a document is put", || !on.may_be_used(&absent)).await;
    let put = read().await;
    on.store.raise_generation(kind, "a").await.expect("raise");
    on.until("a generation is raised", || !on.may_be_used(&put)).await;
    let raised = read().await;
    on.store
        .delete_document(kind, "a", Expect::Any, 1_000)
        .await
        .expect("delete");
    on.until("a document is deleted", || !on.may_be_used(&raised)).await;
}

/// The race that a cache must not lose: a first read and a revocation at the same moment. Whatever order they came in, once
/// changes up to the revocation are confirmed, nobody may still use "live".
async fn no_change_crosses_a_read_unseen(on: Tracked) {
    for serial in 0..2_000 {
        let sample = Sample {
            serial,
            device: 1,
            ..Sample::default()
        };
        on.store.issue(sample.issue()).await.expect("issue");
        let (read, revoked) = tokio::join!(on.read(sample), on.store.revoke_subject(home(1), Selection::default()));
        let (live, stamp) = read;
        let revision = revoked.expect("revoke").revision;
        if live && on.may_be_used(&stamp) {
            let confirmed = || {
                on.tracking
                    .confirmed()
                    .is_some_and(|confirmed| confirmed.revision >= revision)
            };
            on.until("the revocation is confirmed", || !on.may_be_used(&stamp) || confirmed())
                .await;
            assert!(
                !on.may_be_used(&stamp),
                "a revoked token may still be used (round {serial})"
            );
        }
    }
}

/// A Redis that is frozen, killed, restarted or flushed: what was read before is not used again, and it goes on by itself.
#[tokio::test]
async fn what_was_read_before_a_failure_is_not_used() {
    let mut on = Tracked::redis().await;
    let sample = Sample::default();
    on.store.issue(sample.issue()).await.expect("issue");

    let (_, stamp) = on.read(sample).await;
    on.server().freeze();
    on.until("the lease lapses", || !on.may_be_used(&stamp)).await;
    on.server().thaw();
    on.until("it goes on", || on.tracking.confirmed().is_some()).await;

    on.store.ping().await.ok();
    let stamp = loop {
        if let Ok(read) = on.tracking.read_tracked(&sample.locator()).await {
            break read.stamp;
        }
        tokio::task::yield_now().await;
    };
    ::redis::cmd("FLUSHALL")
        .exec(&mut on.server().connection())
        .expect("flush");
    on.until("a flush is told", || !on.may_be_used(&stamp)).await;

    let (_, stamp) = on.read(sample).await;
    on.server().kill();
    on.until("the connection is lost", || !on.may_be_used(&stamp)).await;
    on.server().restart();
    on.until("it goes on", || on.tracking.confirmed().is_some()).await;
    assert!(!on.may_be_used(&stamp), "what was read in an earlier session stays old");
    let (live, stamp) = on.read(sample).await;
    assert!(!live && on.may_be_used(&stamp));
}

/// A Redis that can remember one key alone tells of the others as if they had changed.
#[tokio::test]
async fn a_full_tracking_table_costs_reads_alone() {
    let mut on = Tracked::redis().await;
    ::redis::cmd("CONFIG")
        .arg(&["SET", "tracking-table-max-keys", "1"])
        .exec(&mut on.server().connection())
        .expect("configure");
    let samples: Vec<Sample> = (0..50)
        .map(|scope| Sample {
            scope,
            ..Sample::default()
        })
        .collect();
    let mut stamps = Vec::new();
    for sample in &samples {
        on.store.issue(sample.issue()).await.expect("issue");
        stamps.push(on.read(*sample).await.1);
    }
    on.store
        .revoke_subject(home(1), Selection::default())
        .await
        .expect("revoke");
    for stamp in &stamps {
        on.until("every one is old", || !on.may_be_used(stamp)).await;
    }
}

/// Whoever waits hears of its own change alone, and one that came before the wait is not missed.
async fn a_change_wakes_who_waits_for_it(on: Tracked) {
    let sample = |device| Sample {
        device,
        ..Sample::default()
    };
    let mut stamps = Vec::new();
    for device in 1..=2 {
        on.store.issue(sample(device).issue()).await.expect("issue");
        stamps.push(on.read(sample(device)).await.1);
    }
    for (number, device) in [(0, 1), (1, 2)] {
        let mut waiting = std::pin::pin!(on.tracking.changed(&stamps[number]));
        assert!(futures::poll!(&mut waiting).is_pending());
        on.store
            .revoke_subject(home(1), of_device(1, device))
            .await
            .expect("revoke");
        timeout(PATIENCE, waiting).await.expect("woken");
        assert!(!on.may_be_used(&stamps[number]));
        timeout(PATIENCE, on.tracking.changed(&stamps[number]))
            .await
            .expect("it is old");
        assert!(on.tracking.last_known(&stamps[number]).is_none());
    }
}

/// A lease that lapses wakes everybody, without a word from Redis.
#[tokio::test]
async fn a_silent_redis_wakes_who_waits() {
    let mut on = Tracked::redis().await;
    let sample = Sample::default();
    on.store.issue(sample.issue()).await.expect("issue");
    let (_, stamp) = on.read(sample).await;
    let tracking = Arc::clone(&on.tracking);
    let mut waiting = std::pin::pin!(tracking.changed(&stamp));
    assert!(futures::poll!(&mut waiting).is_pending());
    on.server().freeze();
    timeout(PATIENCE, waiting).await.expect("woken");
    assert!(on.tracking.confirmed().is_none(), "for this reason alone");
    on.server().thaw();
}

/// What was known when a Redis was last heard stays known until it is heard again, and not a change longer.
#[tokio::test]
async fn what_was_last_known_is_told_until_the_store_is_heard_again() {
    let mut on = Tracked::redis().await;
    let sample = |device| Sample {
        device,
        ..Sample::default()
    };
    for device in 1..=3 {
        on.store.issue(sample(device).issue()).await.expect("issue");
    }
    let (_, stays) = on.read(sample(1)).await;
    let (_, revoked) = on.read(sample(2)).await;
    let known = on.tracking.last_known(&stays).expect("known");
    assert!(known.age_us < 10_000_000);
    on.store.revoke_subject(home(1), of_device(1, 2)).await.expect("revoke");
    on.until("it is told", || !on.may_be_used(&revoked)).await;

    on.server().kill();
    on.until("the connection is lost", || !on.may_be_used(&stays)).await;
    assert!(on.tracking.last_known(&revoked).is_none(), "a change was told");
    let before = on.tracking.last_known(&stays).expect("known from before").age_us;
    on.until("it grows old", || {
        on.tracking
            .last_known(&stays)
            .is_some_and(|known| known.age_us > before.max(LEASE_US))
    })
    .await;
    on.server().restart();
    on.until("it goes on", || on.tracking.confirmed().is_some()).await;
    assert!(on.tracking.last_known(&stays).is_none(), "changes may have been missed");

    // A frozen one keeps its session: what it told before counts, and it goes on with the same.
    on.store.ping().await.ok();
    on.store.issue(sample(1).issue()).await.expect("issue");
    let (_, stays) = on.read(sample(1)).await;
    on.server().freeze();
    on.until("the lease lapses", || !on.may_be_used(&stays)).await;
    assert!(
        on.tracking
            .last_known(&stays)
            .is_some_and(|known| known.age_us >= LEASE_US)
    );
    on.server().thaw();
    on.until("it goes on", || on.tracking.confirmed().is_some()).await;
    on.store
        .revoke_subject(home(1), Selection::default())
        .await
        .expect("revoke");
    on.until("what it says counts", || on.tracking.last_known(&stays).is_none())
        .await;
}
