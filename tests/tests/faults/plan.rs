//! Which faults, in which order, and how long each: the same for the same seed.

use std::hash::BuildHasher as _;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};

/// How many faults each topology gets; without it, some of different kinds.
const FAULTS: &str = "TOKENBIND_TEST_FAULTS";
/// What a run is repeated with.
const SEED: &str = "TOKENBIND_TEST_SEED";
/// Only the kinds of fault whose names contain this.
const ONLY: &str = "TOKENBIND_TEST_FAULT";

/// A schedule.
pub(crate) struct Plan {
    pub(crate) seed: u64,
    wanted: Option<usize>,
    rng: StdRng,
}

impl Plan {
    pub(crate) fn read() -> Self {
        let (given, wanted) = (std::env::var(SEED).ok(), std::env::var(FAULTS).ok());
        let seed = given.map_or_else(
            || std::hash::RandomState::new().hash_one("faults") % 1_000_000,
            |text| text.parse().expect("TOKENBIND_TEST_SEED is a number"),
        );
        Self {
            seed,
            wanted: wanted.map(|text| text.parse().expect("TOKENBIND_TEST_FAULTS is a number")),
            rng: StdRng::seed_from_u64(seed),
        }
    }

    /// Whether somebody said how many faults.
    pub(crate) fn is_long(&self) -> bool {
        self.wanted.is_some()
    }

    /// Each kind as often as every other one, as far as possible, in any order; `few` where nobody said how many.
    pub(crate) fn schedule(&mut self, kinds: &[&'static str], few: usize) -> Vec<&'static str> {
        let only = std::env::var(ONLY).unwrap_or_default();
        let kinds: Vec<_> = kinds.iter().copied().filter(|kind| kind.contains(&only)).collect();
        let wanted = self.wanted.unwrap_or(few);
        let mut schedule = Vec::new();
        while schedule.len() < wanted && !kinds.is_empty() {
            let mut deck = kinds.clone();
            deck.shuffle(&mut self.rng);
            schedule.extend(deck);
        }
        schedule.truncate(wanted);
        schedule
    }

    /// How long a fault lasts: shorter and longer than a lease.
    pub(crate) fn length(&mut self) -> Duration {
        Duration::from_millis(self.rng.random_range(300..2_000))
    }

    /// The same where nothing is seen of it before a lease has lapsed, more often than not.
    pub(crate) fn silence(&mut self) -> Duration {
        Duration::from_millis(self.rng.random_range(700..3_500))
    }

    /// One of several.
    pub(crate) fn one_of<T: Copy>(&mut self, several: &[T]) -> T {
        several[self.rng.random_range(0..several.len())]
    }
}
