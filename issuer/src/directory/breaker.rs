//! A circuit breaker: a directory that is down is left alone for a while, and its callers learn at once.
//!
//! Of our own, because the crates that there are take the time from the machine, and let every waiting call through at once when
//! they try again; here it is one.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many failures in a row open it.
pub(super) const FAILURES: u32 = 5;
/// How long it stays open at first; doubled each time that the call which tries fails.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Whether calls are let through. Times are microseconds of one clock that nobody sets.
#[derive(Debug, Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Clone, Copy, Debug)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until_us: u64,
        pause: Duration,
    },
    /// One call tries.
    Trying {
        pause: Duration,
    },
}

impl Default for State {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

/// A call that was let through. Dropped without a word (its caller gave up), it says nothing about the directory.
#[must_use = "tell how it ended"]
#[derive(Debug)]
pub(super) struct Trial<'a> {
    breaker: &'a Breaker,
    /// The state before, where this is the call that tries.
    pause: Option<Duration>,
    told: bool,
}

impl Breaker {
    /// Lets a call through, or says for how long none will be.
    pub(super) fn admit(&self, now_us: u64) -> Result<Trial<'_>, Duration> {
        let mut state = self.lock();
        let pause = match *state {
            State::Closed { .. } => None,
            State::Open { until_us, pause } if now_us >= until_us => {
                *state = State::Trying { pause };
                Some(pause)
            }
            State::Open { until_us, .. } => return Err(Duration::from_micros(until_us - now_us)),
            State::Trying { pause } => return Err(pause),
        };
        drop(state);
        Ok(Trial {
            breaker: self,
            pause,
            told: false,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trial<'_> {
    /// The directory answered, whatever it said.
    pub(super) fn answered(mut self) {
        self.told = true;
        let mut state = self.breaker.lock();
        // A late answer to a call from before it opened does not close it: the call that tries does.
        if matches!(*state, State::Closed { .. }) || self.pause.is_some() {
            *state = State::default();
        }
    }

    /// It did not. Whether that opened the breaker.
    pub(super) fn failed(mut self, now_us: u64) -> bool {
        self.told = true;
        let mut state = self.breaker.lock();
        let pause = match (*state, self.pause) {
            (_, Some(pause)) => (2 * pause).min(LONGEST_PAUSE),
            (State::Closed { failures }, None) if failures + 1 < FAILURES => {
                *state = State::Closed { failures: failures + 1 };
                return false;
            }
            (State::Closed { .. }, None) => FIRST_PAUSE,
            (State::Open { .. } | State::Trying { .. }, None) => return false,
        };
        *state = open(now_us, pause);
        true
    }
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        // Otherwise no call would ever try again.
        if let Some(pause) = self.pause.filter(|_| !self.told) {
            *self.breaker.lock() = State::Open { until_us: 0, pause };
        }
    }
}

fn open(now_us: u64, pause: Duration) -> State {
    let pause_us = u64::try_from(pause.as_micros()).unwrap_or(u64::MAX);
    State::Open {
        until_us: now_us.saturating_add(pause_us),
        pause,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn opened() -> Breaker {
        let breaker = Breaker::default();
        for failure in 1..=FAILURES {
            let opens = breaker.admit(0).unwrap().failed(0);
            assert_eq!(opens, failure == FAILURES);
        }
        breaker
    }

    #[test]
    fn only_failures_in_a_row_open_it() {
        let breaker = Breaker::default();
        for _ in 0..10 {
            for _ in 1..FAILURES {
                assert!(!breaker.admit(0).unwrap().failed(0));
            }
            breaker.admit(0).unwrap().answered();
        }
        assert!(breaker.admit(0).is_ok());
    }

    #[test]
    fn one_call_tries_again_and_closes_it() {
        let breaker = opened();
        assert_eq!(breaker.admit(SECOND - 1).unwrap_err(), Duration::from_micros(1));
        let trial = breaker.admit(SECOND).unwrap();
        assert!(breaker.admit(SECOND).is_err(), "one alone");
        trial.answered();
        assert!(breaker.admit(SECOND).is_ok());
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let breaker = opened();
        let mut now = 0;
        for pause in [1, 2, 4, 8, 16, 30, 30] {
            assert!(breaker.admit(now + pause * SECOND - 1).is_err(), "{pause}");
            now += pause * SECOND;
            assert!(breaker.admit(now).unwrap().failed(now));
        }
    }

    #[test]
    fn a_caller_that_gives_up_leaves_the_trial_to_the_next() {
        let breaker = opened();
        drop(breaker.admit(SECOND).unwrap());
        breaker.admit(SECOND).unwrap().answered();
        assert!(breaker.admit(SECOND).is_ok());
    }

    #[test]
    fn calls_from_before_it_opened_change_nothing() {
        let breaker = Breaker::default();
        let late: Vec<_> = (0..3).map(|_| breaker.admit(0).unwrap()).collect();
        for _ in 0..FAILURES {
            breaker.admit(0).unwrap().failed(0);
        }
        for (index, trial) in late.into_iter().enumerate() {
            if index == 0 {
                trial.answered();
            } else {
                assert!(!trial.failed(SECOND / 2));
            }
        }
        assert!(breaker.admit(SECOND - 1).is_err());
        assert!(breaker.admit(SECOND).is_ok());
    }
}
