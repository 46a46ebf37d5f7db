//! Time is passed in, so that tests own it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Tells the time of day.
pub trait Clock: Send + Sync + 'static {
    /// Microseconds since 1970.
    fn now_us(&self) -> u64;

    /// Microseconds since some moment, by a clock that nobody sets: for how long something takes, or may be trusted.
    fn monotonic_us(&self) -> u64;

    /// Whole seconds since 1970, as JWT claims count them.
    fn now_seconds(&self) -> u64 {
        self.now_us() / 1_000_000
    }

    /// Whether it is near enough to the store's clock, as far as they were [compared](Self::compared). Where it is not, nothing may be
    /// issued or judged by it.
    fn is_trusted(&self) -> bool {
        true
    }

    /// How far it is ahead of the store's clock, in microseconds, as far as they were compared.
    fn skew_us(&self) -> i64 {
        0
    }

    /// Whether it agrees well enough with what the store's clock said, when asked at `asked_us` by this one, with an answer after `took_us`.
    /// Where it does not, that is taken note of, and it is not [trusted](Self::is_trusted) until they are compared again; where it does, nothing
    /// is written: for who writes to the store anyway.
    fn agrees(&self, store_us: u64, asked_us: u64, took_us: u64) -> bool {
        let _ = (store_us, asked_us, took_us);
        true
    }

    /// Takes note of what the store's clock said, when asked at `asked_us` by this one, with an answer after `took_us`.
    fn compared(&self, store_us: u64, asked_us: u64, took_us: u64) {
        let _ = (store_us, asked_us, took_us);
    }
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that asks the machine for the time"
    )]
    fn now_us(&self) -> u64 {
        // A machine before 1970 is told as 1970: every token is then expired or not yet valid.
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since_1970.as_micros()).unwrap_or(u64::MAX)
    }

    fn monotonic_us(&self) -> u64 {
        static START: OnceLock<Instant> = OnceLock::new();
        let since_start = START.get_or_init(Instant::now).elapsed();
        u64::try_from(since_start.as_micros()).unwrap_or(u64::MAX)
    }
}

/// A clock that moves only when it is told to.
#[derive(Debug)]
pub struct ManualClock {
    monotonic_us: AtomicU64,
    ahead_us: AtomicU64,
}

impl ManualClock {
    /// A clock that stands at `now_us` microseconds since 1970.
    pub fn new(now_us: u64) -> Self {
        Self {
            monotonic_us: AtomicU64::new(now_us),
            ahead_us: AtomicU64::new(0),
        }
    }

    /// Moves the clock on.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_micros()).unwrap_or(u64::MAX);
        self.monotonic_us.fetch_add(by, Ordering::SeqCst);
    }

    /// Sets it wrong by so much, until it is set otherwise; what is monotonic does not notice.
    pub fn set_ahead(&self, by: Duration) {
        let by = u64::try_from(by.as_micros()).unwrap_or(u64::MAX);
        self.ahead_us.store(by, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_us(&self) -> u64 {
        self.monotonic_us() + self.ahead_us.load(Ordering::SeqCst)
    }

    fn monotonic_us(&self) -> u64 {
        self.monotonic_us.load(Ordering::SeqCst)
    }
}
