//! Throttles guesses at secrets and passwords (C12), by application, user and address, over all issuers together.
//!
//! Only failures are counted, and only a failure writes. Before a password is verified the counters are read; before a
//! secret is compared nothing is: the failures that this issuer saw tell who has to wait, and the count of the next failure
//! tells what the others saw.
//!
//! Two kinds of counters, so that nobody locks others out: the *narrow* one (this name, from this address) holds up for up to
//! a minute, whatever comes. The *wide* ones (this user, this application, this address) begin late, hold up for seconds, and
//! not at all from where the right answer came lately.
//!
//! What does not exist counts the same as what does (A17).

mod limits;
mod peer;
#[cfg(test)]
mod tests;

use std::fmt;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::hmac::{Context, HMAC_SHA256, Key};
use quick_cache::sync::Cache;
use tokenbind_index::{AttemptCounter, AttemptCounters, AttemptKey, AttemptKind, Clock, Wait};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use unicode_normalization::UnicodeNormalization as _;

pub use self::peer::Peer;
use crate::error::IssuerError;
use crate::opaque::OpaqueKeys;
use crate::telemetry;

/// What else the opaque key is used for must not give the same bytes.
const DOMAIN: &[u8] = b"tokenbind attempts 1\0";

/// Counts failures, and holds up who had too many.
pub struct Throttle {
    counters: Arc<dyn AttemptCounters>,
    clock: Arc<dyn Clock>,
    /// Names counters, so that nobody who reads the index can try which names and addresses are there, and nobody can choose
    /// a name that shares another's counter. Every issuer uses the same.
    keys: Arc<OpaqueKeys>,
    peers: PeerAddresses,
    /// Names what this process remembers.
    hasher: RandomState,
    /// Until when, by the monotonic clock, whoever guessed at secrets has to wait.
    held: Cache<u64, u64>,
    /// Until when anybody has to: most of the time nobody does, and need not be looked for.
    all_free_at: AtomicU64,
    /// Until when an address is known for a name.
    known: Cache<u64, u64>,
    /// One guess at a user's password at a time: many at once would all be verified before the first is counted.
    lanes: Box<[Arc<Semaphore>]>,
}

/// Whether addresses tell callers apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PeerAddresses {
    /// They do.
    #[default]
    Tell,
    /// They are those of proxies.
    Ignore,
}

/// One attempt, let through to be judged.
#[must_use = "tell how it ended"]
pub(crate) struct Attempt<'a> {
    throttle: &'a Throttle,
    guess: Guess<'a>,
    peer: Peer,
    /// The name and the address, in what this process remembers.
    pair: u64,
    _lane: Option<OwnedSemaphorePermit>,
}

/// What could be guessed.
enum Guess<'a> {
    Secret { client_id: &'a str },
    Password { name: String, client_id: &'a str },
}

impl Throttle {
    /// Counts in `counters`.
    pub fn new(
        counters: Arc<dyn AttemptCounters>,
        keys: Arc<OpaqueKeys>,
        clock: Arc<dyn Clock>,
        peers: PeerAddresses,
    ) -> Self {
        let lane = |_| Arc::new(Semaphore::new(1));
        Self {
            counters,
            clock,
            keys,
            peers,
            hasher: RandomState::new(),
            held: Cache::new(limits::REMEMBERED),
            all_free_at: AtomicU64::new(0),
            known: Cache::new(limits::REMEMBERED),
            lanes: (0..limits::LANES).map(lane).collect(),
        }
    }

    /// Before a secret of an application is compared. Asks nobody, because most secrets are right.
    ///
    /// # Errors
    /// [`IssuerError::TooManyAttempts`].
    pub(crate) fn secret<'a>(&'a self, client_id: &'a str, peer: Peer) -> Result<Attempt<'a>, IssuerError> {
        let peer = self.seen(peer);
        let pair = self.hash(&(client_id, peer));
        if self.all_free_at.load(Ordering::Relaxed) > self.clock.monotonic_us() {
            let waits_us = [self.held_us(pair), self.held_us(self.hash(&peer))];
            self.check(&waits_us.map(|us| us.div_ceil(1_000)), pair)?;
        }
        Ok(Attempt {
            throttle: self,
            guess: Guess::Secret { client_id },
            peer,
            pair,
            _lane: None,
        })
    }

    /// Before a password is verified.
    ///
    /// # Errors
    /// [`IssuerError::TooManyAttempts`], or that of the store.
    pub(crate) async fn password<'a>(
        &'a self,
        username: &str,
        client_id: &'a str,
        peer: Peer,
    ) -> Result<Attempt<'a>, IssuerError> {
        let peer = self.seen(peer);
        // Directories tell names apart less than we do: another way to write one must not be a fresh start.
        let name = folded(username);
        let lane = self.lane(&name).await?;
        let pair = self.hash(&("user", &name, peer));
        let guess = Guess::Password { name, client_id };
        let keys: Vec<AttemptKey> = self.counters_of(&guess, peer).iter().map(|it| it.key).collect();
        self.check(&self.counters.waits(&keys).await?, pair)?;
        Ok(Attempt {
            throttle: self,
            guess,
            peer,
            pair,
            _lane: Some(lane),
        })
    }

    /// What a failure counts on; the narrow one first.
    fn counters_of(&self, guess: &Guess<'_>, peer: Peer) -> Vec<AttemptCounter> {
        let anywhere = Peer::default();
        let mut counters = match guess {
            Guess::Secret { client_id } => vec![self.counter(AttemptKind::SecretFromPeer, client_id, peer)],
            Guess::Password { name, client_id } => vec![
                self.counter(AttemptKind::PasswordFromPeer, name, peer),
                self.counter(AttemptKind::Password, name, anywhere),
                self.counter(AttemptKind::Application, client_id, anywhere),
            ],
        };
        if peer.address().is_some() {
            counters.push(self.counter(AttemptKind::Peer, "", peer));
        }
        counters
    }

    /// The waits in the order of the counters: the narrow one first.
    fn check(&self, waits_ms: &[u64], pair: u64) -> Result<(), IssuerError> {
        let binding = if self.is_known(pair) { &waits_ms[..1] } else { waits_ms };
        match binding.iter().max() {
            Some(&longest) if longest > 0 => Err(too_many(longest)),
            _ => Ok(()),
        }
    }

    fn seen(&self, peer: Peer) -> Peer {
        match self.peers {
            PeerAddresses::Tell => peer,
            PeerAddresses::Ignore => Peer::default(),
        }
    }

    fn counter(&self, kind: AttemptKind, name: &str, peer: Peer) -> AttemptCounter {
        let address = peer.address().map(|address| address.to_string()).unwrap_or_default();
        let subkey = self.keys.subkey(DOMAIN);
        let mut context = Context::with_key(&Key::new(HMAC_SHA256, subkey.as_slice()));
        context.update(&(name.len() as u64).to_be_bytes());
        context.update(name.as_bytes());
        context.update(address.as_bytes());
        let mut digest = [0; 32];
        digest.copy_from_slice(context.sign().as_ref());
        AttemptCounter {
            key: AttemptKey::new(kind, &digest),
            limit: limits::limit(kind),
        }
    }

    async fn lane(&self, name: &str) -> Result<OwnedSemaphorePermit, IssuerError> {
        let count = u64::try_from(self.lanes.len()).unwrap_or(u64::MAX);
        let index = usize::try_from(self.hash(&name) % count.max(1)).unwrap_or(0);
        let lane = self.lanes.get(index).cloned();
        let closed = || IssuerError::Internal("a lane of the throttle is closed".to_owned());
        let lane = lane.ok_or_else(closed)?;
        lane.acquire_owned().await.map_err(|_| closed())
    }

    fn hash(&self, of: &impl Hash) -> u64 {
        self.hasher.hash_one(of)
    }

    fn held_us(&self, who: u64) -> u64 {
        let until = self.held.get(&who).unwrap_or(0);
        until.saturating_sub(self.clock.monotonic_us())
    }

    fn hold(&self, who: u64, wait_ms: u64) {
        if wait_ms > 0 {
            let until = self.clock.monotonic_us().saturating_add(wait_ms.saturating_mul(1_000));
            self.held.insert(who, until);
            self.all_free_at.fetch_max(until, Ordering::Relaxed);
        }
    }

    fn is_known(&self, pair: u64) -> bool {
        let until = self.known.get(&pair).unwrap_or(0);
        until > self.clock.monotonic_us()
    }
}

impl Attempt<'_> {
    /// It was right. Writes nothing to the index.
    pub(crate) fn succeeded(self) {
        let throttle = self.throttle;
        let now = throttle.clock.monotonic_us();
        // Renewed now and then; not on each success, of which there may be thousands in a second.
        let fresh = now.saturating_add(limits::KNOWN_US / 2);
        if throttle.known.get(&self.pair).is_none_or(|until| until < fresh) {
            let until = now.saturating_add(limits::KNOWN_US);
            throttle.known.insert(self.pair, until);
        }
    }

    /// It was wrong: what to answer.
    pub(crate) async fn failed(self, refusal: IssuerError) -> IssuerError {
        match self.count().await {
            Ok(()) => refusal,
            Err(error) => error,
        }
    }

    async fn count(self) -> Result<(), IssuerError> {
        let throttle = self.throttle;
        let counters = throttle.counters_of(&self.guess, self.peer);
        let waits = throttle.counters.count_failure(&counters).await?;
        if let (Guess::Secret { .. }, [narrow, wide @ ..]) = (&self.guess, waits.as_slice()) {
            throttle.hold(self.pair, narrow.after_ms);
            let wide = wide.iter().map(|wait| wait.after_ms).max();
            throttle.hold(throttle.hash(&self.peer), wide.unwrap_or(0));
        }
        let began = |wait: &&Wait| wait.before_ms == 0 && wait.after_ms > 0;
        if let Some(wait) = waits.iter().filter(began).max_by_key(|wait| wait.after_ms) {
            telemetry::throttled(self.guess.what(), self.peer.address(), wait.after_ms);
        }
        let before: Vec<u64> = waits.iter().map(|wait| wait.before_ms).collect();
        throttle.check(&before, self.pair)
    }
}

impl Guess<'_> {
    fn what(&self) -> &'static str {
        match self {
            Self::Secret { .. } => "secret",
            Self::Password { .. } => "password",
        }
    }
}

impl fmt::Debug for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Throttle")
            .field("peers", &self.peers)
            .finish_non_exhaustive()
    }
}

fn too_many(wait_ms: u64) -> IssuerError {
    IssuerError::TooManyAttempts {
        retry_after: Duration::from_millis(wait_ms),
    }
}

/// What is left of a name when everything is dropped that some directory does not compare: case, width and other forms of a
/// character, accents, white space, and what cannot be seen (RFC 4518, section 2.2). Two names that fall together are held up
/// together, which costs less than a name that can be written in thousands of ways.
fn folded(username: &str) -> String {
    let compared = |character: &char| character.is_alphanumeric() || character.is_ascii_graphic();
    let folded: String = username
        .nfkd()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .filter(compared)
        .collect();
    if folded.is_empty() { username.to_owned() } else { folded }
}
