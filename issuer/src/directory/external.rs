//! What is the same for every directory elsewhere: fair shares, a deadline, a breaker, and errors that are no refusals.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokenbind_index::Clock;
use tokio::time::timeout;

use super::breaker::Breaker;
use super::{KnownUser, Login};
use crate::error::IssuerError;
use crate::fair_queue::{FairQueue, Place};

/// How many logins of one application may wait for each call in flight.
const WAITING_PER_CALL: usize = 16;

/// A directory that is asked over the network.
#[async_trait]
pub(super) trait Remote: Send + Sync + 'static {
    /// The user, or nothing where the directory refuses.
    async fn authenticate(&self, login: &Login) -> Result<Option<KnownUser>, RemoteError>;
}

/// Why a directory gave no answer. The texts are for the log, and hold no password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RemoteError {
    /// It is out of reach, or too slow.
    Down(String),
    /// It answered, and what it says is no answer. Says nothing about the next question, so it opens no breaker: or a name that a
    /// directory stumbles over would shut out everybody.
    Odd(String),
}

/// A directory elsewhere.
pub struct ExternalDirectory {
    remote: Box<dyn Remote>,
    clock: Arc<dyn Clock>,
    breaker: Breaker,
    calls: FairQueue,
    deadline: Duration,
}

impl ExternalDirectory {
    pub(super) fn new(
        remote: Box<dyn Remote>,
        clock: Arc<dyn Clock>,
        concurrency: NonZeroUsize,
        deadline: Duration,
    ) -> Self {
        Self {
            remote,
            clock,
            breaker: Breaker::default(),
            calls: FairQueue::new(concurrency, WAITING_PER_CALL),
            deadline,
        }
    }

    pub(super) fn place(&self, client_id: &str) -> Result<Place, IssuerError> {
        self.calls.enter(client_id)
    }

    /// Asks the directory.
    ///
    /// # Errors
    /// [`IssuerError::Unavailable`] for everything that is neither a user nor a refusal.
    pub(super) async fn authenticate(&self, place: Place, login: &Login) -> Result<Option<KnownUser>, IssuerError> {
        let _turn = place.turn().await?;
        let paused = |left| IssuerError::Unavailable(format!("the user directory is left alone for {left:?}"));
        let trial = self.breaker.admit(self.clock.monotonic_us()).map_err(paused)?;
        let late = || RemoteError::Down(format!("no answer within {:?}", self.deadline));
        let answer = timeout(self.deadline, self.remote.authenticate(login)).await;
        match answer.unwrap_or_else(|_| Err(late())) {
            Ok(answer) => {
                trial.answered();
                Ok(answer)
            }
            Err(RemoteError::Odd(problem)) => {
                trial.answered();
                Err(IssuerError::Unavailable(format!("the user directory: {problem}")))
            }
            Err(RemoteError::Down(problem)) => {
                if trial.failed(self.clock.monotonic_us()) {
                    tracing::warn!(problem, "the user directory is down; it is left alone for a while");
                }
                Err(IssuerError::Unavailable(format!("the user directory: {problem}")))
            }
        }
    }
}

impl fmt::Debug for ExternalDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalDirectory")
            .field("breaker", &self.breaker)
            .finish_non_exhaustive()
    }
}
