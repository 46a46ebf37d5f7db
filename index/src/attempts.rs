//! The trait that counts failed guesses at secrets and passwords, for all issuers together.
//!
//! A counter forgives: each failure weighs for [`AttemptLimit::forgive_ms`], one after the other. Beyond
//! [`AttemptLimit::free`] failures that still weigh, each further one holds up the next attempt, twice as long as the one
//! before, up to [`AttemptLimit::most_ms`]. While a counter holds up, nothing is counted on it: a caller that goes on
//! trying costs no write, and many at once are one.

use async_trait::async_trait;

use crate::error::IndexError;

/// How far beyond the free ones failures weigh: the delay has reached its most long before, and what lasted for days is
/// forgiven as fast as what lasted for minutes.
pub(crate) const MOST_BEYOND: u64 = 16;

/// When a counter holds up, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptLimit {
    /// How many failures cost nothing.
    pub free: u32,
    /// How long one failure weighs, in milliseconds; at least 1.
    pub forgive_ms: u32,
    /// The first delay, in milliseconds.
    pub first_ms: u32,
    /// The longest delay, in milliseconds.
    pub most_ms: u32,
}

/// What is counted on one counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum AttemptKind {
    /// Guesses at an application's secret, from one address.
    SecretFromPeer = 1,
    /// Guesses at a user's password, from one address.
    PasswordFromPeer = 2,
    /// Guesses at a user's password, from anywhere.
    Password = 3,
    /// Guesses at any user's password, through one application.
    Application = 4,
    /// Guesses at anything, from one address.
    Peer = 5,
}

/// Names a counter.
///
/// There are [`AttemptKey::BUCKETS`] of each kind and no more, so that nobody fills the store by making up names; two names that
/// share one are held up together. The digest should be keyed: then nobody can choose a name that shares another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttemptKey {
    kind: AttemptKind,
    bucket: u32,
}

impl AttemptKey {
    /// How many counters of a kind there are at most.
    pub const BUCKETS: u32 = 1 << 18;

    /// The counter of a digest.
    pub fn new(kind: AttemptKind, digest: &[u8; 32]) -> Self {
        let [first, second, third, fourth, ..] = *digest;
        let bucket = u32::from_be_bytes([first, second, third, fourth]) % Self::BUCKETS;
        Self { kind, bucket }
    }

    /// The bytes that keys of the store end with.
    pub(crate) fn to_bytes(self) -> [u8; 4] {
        let [_, high, middle, low] = self.bucket.to_be_bytes();
        [self.kind as u8, high, middle, low]
    }
}

/// A counter and its limit. A counter always has the same limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptCounter {
    /// Which.
    pub key: AttemptKey,
    /// How it counts.
    pub limit: AttemptLimit,
}

/// How long a counter holds up, in milliseconds; 0 is not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wait {
    /// When the failure came: above 0, it was not counted.
    pub before_ms: u64,
    /// From then on.
    pub after_ms: u64,
}

/// Counts failed attempts. Each method is one atomic step; counters expire by themselves, and counting works in a full store.
#[async_trait]
pub trait AttemptCounters: Send + Sync + 'static {
    /// How long each counter still holds up, in milliseconds. Writes nothing.
    async fn waits(&self, keys: &[AttemptKey]) -> Result<Vec<u64>, IndexError>;

    /// Counts a failure on each counter that does not hold up.
    async fn count_failure(&self, counters: &[AttemptCounter]) -> Result<Vec<Wait>, IndexError>;
}
