//! Reads for tokens that prove nothing by themselves: anybody can make up an opaque token, in any number.

use std::sync::Arc;
use std::time::Duration;

use tokenbind_index::{IndexError, Locator, Store};
use tokenbind_proto::index::v1::TokenRecord;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time;

/// At most so many at a time: a mass of them waits here, not in the index, where everybody else would wait behind it.
const MOST: usize = 128;
/// How long one waits for its turn. Where the index answers, turns come within milliseconds.
const PATIENCE: Duration = Duration::from_secs(1);

/// Reads in which the index is not asked to tell changes: it would have to remember every token that anybody made up.
pub(super) struct UnprovenReads {
    store: Arc<dyn Store>,
    turns: Semaphore,
}

impl UnprovenReads {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            turns: Semaphore::new(MOST),
        }
    }

    /// What the slot holds.
    pub(super) async fn read(&self, locator: &Locator) -> Result<Option<TokenRecord>, IndexError> {
        let _turn = self.turn().await?;
        self.store.read(locator).await
    }

    async fn turn(&self) -> Result<SemaphorePermit<'_>, IndexError> {
        if let Ok(turn) = self.turns.try_acquire() {
            return Ok(turn);
        }
        match time::timeout(PATIENCE, self.turns.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(IndexError::Unavailable(
                "too many tokens of unknown origin are being read".to_owned(),
            )),
        }
    }
}
