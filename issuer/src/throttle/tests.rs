//! What is counted, whom it holds up, and what it costs those who do not guess. Over processes: `tests/tests/throttling`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use tokenbind_index::memory::MemoryIndex;
use tokenbind_index::{AttemptCounter, AttemptCounters, AttemptKey, Clock, IndexError, ManualClock, Wait};
use tokenbind_proto::v1::TokenFormat;

use super::{Peer, PeerAddresses, Throttle};
use crate::client::{PresentedClient, Proof};
use crate::error::IssuerError;
use crate::opaque::OpaqueKeys;
use crate::test_support::{CountingEntropy, Harness, START_US, client, request, request_for};

/// Counters that count how often they are asked.
struct Watched {
    counters: MemoryIndex,
    reads: AtomicUsize,
    writes: AtomicUsize,
}

#[async_trait]
impl AttemptCounters for Watched {
    async fn waits(&self, keys: &[AttemptKey]) -> Result<Vec<u64>, IndexError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.counters.waits(keys).await
    }

    async fn count_failure(&self, counters: &[AttemptCounter]) -> Result<Vec<Wait>, IndexError> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        self.counters.count_failure(counters).await
    }
}

/// Issuers that share an index, each with a throttle of its own.
struct Issuers {
    clock: Arc<ManualClock>,
    watched: Arc<Watched>,
    throttles: Vec<Throttle>,
}

fn issuers(count: usize, peers: PeerAddresses) -> Issuers {
    let clock = Arc::new(ManualClock::new(START_US));
    let watched = Arc::new(Watched {
        counters: MemoryIndex::new(Arc::clone(&clock) as Arc<dyn Clock>),
        reads: AtomicUsize::new(0),
        writes: AtomicUsize::new(0),
    });
    let keys = Arc::new(OpaqueKeys::generate(&CountingEntropy::default()));
    let throttle = |_| Throttle::new(watched.clone(), Arc::clone(&keys), clock.clone(), peers);
    let throttles = (0..count).map(throttle).collect();
    Issuers {
        clock,
        watched,
        throttles,
    }
}

fn peer(number: u8) -> Peer {
    Peer::of(Some(([192, 0, 2, number], 1).into()))
}

/// A wrong password; how long the next attempt must wait where this one was not even looked at.
async fn guess(throttle: &Throttle, username: &str, peer: Peer) -> Result<(), Duration> {
    let attempt = throttle.password(username, "shop", peer).await;
    let error = match attempt {
        Ok(attempt) => attempt.failed(IssuerError::InvalidGrant).await,
        Err(error) => error,
    };
    match error {
        IssuerError::InvalidGrant => Ok(()),
        IssuerError::TooManyAttempts { retry_after } => Err(retry_after),
        other => panic!("{other}"),
    }
}

async fn guess_secret(throttle: &Throttle, client_id: &str, peer: Peer) -> Result<(), Duration> {
    let error = match throttle.secret(client_id, peer) {
        Ok(attempt) => attempt.failed(IssuerError::InvalidClient).await,
        Err(error) => error,
    };
    match error {
        IssuerError::InvalidClient => Ok(()),
        IssuerError::TooManyAttempts { retry_after } => Err(retry_after),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn c12_passwords_of_a_user_from_one_address_are_held_up_longer_and_longer() {
    let on = issuers(1, PeerAddresses::Tell);
    let throttle = &on.throttles[0];
    for _ in 0..11 {
        assert_eq!(guess(throttle, "alice", peer(1)).await, Ok(()));
    }
    for seconds in [1, 2, 4, 8, 16, 32] {
        let wait = Duration::from_secs(seconds);
        assert_eq!(guess(throttle, "alice", peer(1)).await, Err(wait));
        on.clock.advance(wait);
        assert_eq!(guess(throttle, "alice", peer(1)).await, Ok(()));
    }
    assert_eq!(
        guess(throttle, "alice", peer(1)).await,
        Err(Duration::from_secs(60)),
        "and not longer"
    );
    // Nobody else waits for it.
    assert_eq!(guess(throttle, "bob", peer(1)).await, Ok(()));
    assert_eq!(guess(throttle, "alice", peer(2)).await, Ok(()));
}

#[tokio::test]
async fn c12_another_way_to_write_a_name_is_no_fresh_start() {
    let on = issuers(1, PeerAddresses::Tell);
    for name in ["alice", "Alice", "ALICE", " alice", "alice ", "al ice"]
        .iter()
        .cycle()
        .take(11)
    {
        assert_eq!(guess(&on.throttles[0], name, peer(1)).await, Ok(()));
    }
    assert!(guess(&on.throttles[0], "aLiCe", peer(1)).await.is_err());
}

/// Directories compare names prepared (RFC 4518), and some of them linguistically.
#[tokio::test]
async fn c12_nor_is_a_name_that_a_directory_takes_for_the_same() {
    let on = issuers(1, PeerAddresses::Tell);
    for name in [
        "stra\u{df}e",
        "STRASSE",
        "\u{ff53}trasse",
        "str\u{ad}asse",
        "strass\u{200b}e",
        "stra\u{301}sse",
        "str\u{e1}sse",
        "strasse\u{fe0f}",
        "\u{202e}strasse",
        "stra\u{17f}se",
        "s\0trasse",
    ] {
        assert_eq!(guess(&on.throttles[0], name, peer(1)).await, Ok(()));
    }
    assert!(guess(&on.throttles[0], "strasse", peer(1)).await.is_err());
    // Names of which nothing would be left are still told apart from those that have something.
    assert_eq!(guess(&on.throttles[0], "\u{1f600}", peer(1)).await, Ok(()));
}

#[tokio::test]
async fn c12_issuers_count_together() {
    let on = issuers(4, PeerAddresses::Tell);
    for number in 0..11 {
        assert_eq!(guess(&on.throttles[number % 4], "alice", peer(1)).await, Ok(()));
    }
    for throttle in &on.throttles {
        assert_eq!(guess(throttle, "alice", peer(1)).await, Err(Duration::from_secs(1)));
    }
    for number in 0..21 {
        assert_eq!(guess_secret(&on.throttles[number % 4], "shop", peer(1)).await, Ok(()));
    }
    for throttle in &on.throttles {
        let held = guess_secret(throttle, "shop", peer(1)).await;
        assert_eq!(held, Err(Duration::from_secs(1)));
    }
}

/// The address of an application's backend is that of all its users, and that of a proxy is everybody's.
#[tokio::test]
async fn c12_guesses_from_elsewhere_hold_up_nobody_who_succeeded_lately() {
    let on = issuers(1, PeerAddresses::Tell);
    let throttle = &on.throttles[0];
    throttle.password("alice", "shop", peer(200)).await.unwrap().succeeded();
    for number in 0..101 {
        assert_eq!(guess(throttle, "alice", peer(number)).await, Ok(()), "{number}");
    }
    // A stranger waits, and for seconds alone.
    assert_eq!(guess(throttle, "alice", peer(201)).await, Err(Duration::from_secs(1)));
    assert!(throttle.password("alice", "shop", peer(200)).await.is_ok());
    on.clock.advance(Duration::from_secs(1));
    for number in 203..223 {
        assert_eq!(guess(throttle, "alice", peer(number)).await, Ok(()));
        let Err(wait) = guess(throttle, "alice", peer(202)).await else {
            panic!("not held up")
        };
        assert!(wait <= Duration::from_secs(5), "{wait:?}");
        on.clock.advance(wait);
    }
    // Not for ever: addresses change hands.
    on.clock.advance(Duration::from_secs(24 * 3_600));
    for number in 0..101 {
        assert_eq!(guess(throttle, "alice", peer(number)).await, Ok(()), "{number}");
    }
    assert!(throttle.password("alice", "shop", peer(200)).await.is_err());
}

#[tokio::test]
async fn c12_one_password_tried_with_many_users_is_held_up() {
    let on = issuers(1, PeerAddresses::Tell);
    let throttle = &on.throttles[0];
    for number in 0..301 {
        assert_eq!(guess(throttle, &format!("user-{number}"), peer(1)).await, Ok(()));
    }
    assert!(guess(throttle, "another", peer(1)).await.is_err(), "from one address");
    for number in 0..700 {
        let from = peer(u8::try_from(2 + number / 100).unwrap());
        assert_eq!(guess(throttle, &format!("user-{number}"), from).await, Ok(()));
    }
    assert!(
        guess(throttle, "another", peer(99)).await.is_err(),
        "through one application"
    );
    let other = throttle.password("another", "bank", peer(99)).await;
    assert!(other.is_ok(), "through another one");
}

#[tokio::test]
async fn addresses_of_proxies_can_be_ignored() {
    let on = issuers(1, PeerAddresses::Ignore);
    let throttle = &on.throttles[0];
    for number in 0..301 {
        assert_eq!(guess(throttle, &format!("user-{number}"), peer(1)).await, Ok(()));
    }
    assert_eq!(guess(throttle, "another", peer(1)).await, Ok(()));
    for number in 0..11 {
        assert_eq!(guess(throttle, "alice", peer(number)).await, Ok(()));
    }
    assert!(guess(throttle, "alice", peer(99)).await.is_err());
}

/// An application with a right secret pays nothing for those without.
#[tokio::test]
async fn c12_a_right_secret_asks_the_counters_nothing() {
    let harness = Harness::new();
    harness.application("shop", TokenFormat::Jwt, |_| {}).await;
    let on = issuers(1, PeerAddresses::Tell);
    let mut issuer = harness.issuer.clone();
    issuer.throttle = Arc::new(on.throttles.into_iter().next().unwrap());
    for _ in 0..5 {
        issuer.issue_token(request("shop", "")).await.unwrap();
    }
    let asked = || {
        let Watched { reads, writes, .. } = on.watched.as_ref();
        (reads.load(Ordering::SeqCst), writes.load(Ordering::SeqCst))
    };
    assert_eq!(asked(), (0, 0));
    harness.user("alice", |_| {}).await;
    issuer.issue_token(request_for("shop", "alice", "")).await.unwrap();
    assert_eq!(asked(), (1, 0), "a right password reads them once");
    let mut wrong = request("shop", "");
    wrong.client = Some(PresentedClient {
        proof: Proof::Secret(SecretString::from("wrong")),
        ..client("shop")
    });
    assert_eq!(issuer.issue_token(wrong).await.unwrap_err(), IssuerError::InvalidClient);
    assert_eq!(asked(), (1, 1), "a wrong secret writes them once");
}

/// And who is held up costs the index nothing at all.
#[tokio::test]
async fn c12_who_is_held_up_for_secrets_asks_the_counters_nothing() {
    let on = issuers(1, PeerAddresses::Tell);
    let throttle = &on.throttles[0];
    for _ in 0..21 {
        assert_eq!(guess_secret(throttle, "shop", peer(1)).await, Ok(()));
    }
    let written = on.watched.writes.load(Ordering::SeqCst);
    for _ in 0..100 {
        assert!(guess_secret(throttle, "shop", peer(1)).await.is_err());
    }
    assert_eq!(on.watched.writes.load(Ordering::SeqCst), written);
    assert_eq!(on.watched.reads.load(Ordering::SeqCst), 0);
    // The application itself, which is elsewhere, is not held up; nor is anybody after the wait.
    assert!(throttle.secret("shop", peer(2)).is_ok());
    on.clock.advance(Duration::from_secs(1));
    assert!(throttle.secret("shop", peer(1)).is_ok());
}

#[tokio::test]
async fn c12_many_guesses_at_once_are_verified_one_by_one() {
    let on = issuers(1, PeerAddresses::Tell);
    let throttle = &on.throttles[0];
    let guesses = (0..200).map(|_| guess(throttle, "alice", peer(1)));
    let outcomes = futures::future::join_all(guesses).await;
    let judged = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(judged, 11);
}

/// A password that nobody counts could be guessed at will.
#[tokio::test]
async fn c12_without_the_index_nothing_is_judged() {
    struct Gone;
    #[async_trait]
    impl AttemptCounters for Gone {
        async fn waits(&self, _: &[AttemptKey]) -> Result<Vec<u64>, IndexError> {
            Err(IndexError::Unavailable("gone".to_owned()))
        }
        async fn count_failure(&self, _: &[AttemptCounter]) -> Result<Vec<Wait>, IndexError> {
            Err(IndexError::Unavailable("gone".to_owned()))
        }
    }
    let keys = Arc::new(OpaqueKeys::generate(&CountingEntropy::default()));
    let clock = Arc::new(ManualClock::new(START_US));
    let throttle = Throttle::new(Arc::new(Gone), keys, clock, PeerAddresses::Tell);
    let refused = throttle.password("alice", "shop", peer(1)).await;
    assert!(matches!(refused, Err(IssuerError::Unavailable(_))));
    let attempt = throttle.secret("shop", peer(1)).unwrap();
    let error = attempt.failed(IssuerError::InvalidClient).await;
    assert!(matches!(error, IssuerError::Unavailable(_)), "{error}");
}
