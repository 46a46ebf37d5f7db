//! A bounded number of workers, and a bounded queue before them in which no application takes all places.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::IssuerError;

/// How many applications can fill their part of the queue before the others find it full.
const SHARES: usize = 4;

/// Where requests wait for one of a few workers. Clones share it.
#[derive(Clone)]
pub(crate) struct FairQueue {
    workers: Arc<Semaphore>,
    /// The places that one application may take, at work and waiting.
    places_of_one: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by_application: HashMap<String, usize>,
}

/// A place in the queue; free again when it is dropped.
pub(crate) struct Place {
    queue: FairQueue,
    client_id: String,
}

/// A place whose turn it is.
pub(crate) struct Turn {
    _worker: OwnedSemaphorePermit,
    _place: Place,
}

impl FairQueue {
    /// A queue in which each application may have `waiting` requests for each worker.
    pub(crate) fn new(workers: NonZeroUsize, waiting: usize) -> Self {
        Self {
            workers: Arc::new(Semaphore::new(workers.get())),
            places_of_one: workers.get().saturating_mul(1 + waiting),
            taken: Arc::default(),
        }
    }

    /// A place for a request of this application.
    ///
    /// # Errors
    /// [`IssuerError::Overloaded`] when the application has too many already, or everybody together.
    pub(crate) fn enter(&self, client_id: &str) -> Result<Place, IssuerError> {
        let mut taken = self.lock();
        let own = taken.by_application.get(client_id).copied().unwrap_or(0);
        if own >= self.places_of_one || taken.all >= self.places_of_one.saturating_mul(SHARES) {
            return Err(IssuerError::Overloaded);
        }
        taken.all += 1;
        taken.by_application.insert(client_id.to_owned(), own + 1);
        Ok(Place {
            queue: self.clone(),
            client_id: client_id.to_owned(),
        })
    }

    /// How many workers have nothing to do.
    pub(crate) fn idle(&self) -> usize {
        self.workers.available_permits()
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        // Nothing is left half counted, so a panic elsewhere does not spoil it.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits for a worker.
    pub(crate) async fn turn(self) -> Result<Turn, IssuerError> {
        let worker = Arc::clone(&self.queue.workers).acquire_owned().await;
        let worker = worker.map_err(|_| IssuerError::Internal("a queue is closed".to_owned()))?;
        Ok(Turn {
            _worker: worker,
            _place: self,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.queue.lock();
        taken.all = taken.all.saturating_sub(1);
        let left = match taken.by_application.get_mut(&self.client_id) {
            Some(own) => {
                *own = own.saturating_sub(1);
                *own
            }
            None => return,
        };
        if left == 0 {
            taken.by_application.remove(&self.client_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(queue: &FairQueue, client_id: &str) -> Vec<Place> {
        std::iter::from_fn(|| queue.enter(client_id).ok()).collect()
    }

    #[tokio::test]
    async fn one_application_leaves_room_for_the_others() {
        let queue = FairQueue::new(NonZeroUsize::MIN, 16);
        let flood = fill(&queue, "flood");
        assert_eq!(flood.len(), 17);
        let other = queue.enter("other");
        assert!(other.is_ok());
        drop(flood);
        assert_eq!(fill(&queue, "flood").len(), 17, "the places are free again");
    }

    #[tokio::test]
    async fn everybody_together_is_bounded_too() {
        let queue = FairQueue::new(NonZeroUsize::MIN, 1);
        let places: Vec<_> = ["a", "b", "c", "d", "e"].iter().map(|id| fill(&queue, id)).collect();
        let counts: Vec<_> = places.iter().map(Vec::len).collect();
        assert_eq!(counts, [2, 2, 2, 2, 0]);
        drop(places);
        assert!(queue.lock().by_application.is_empty(), "no name is kept");
    }

    #[tokio::test]
    async fn a_turn_comes_when_a_worker_is_free() {
        let queue = FairQueue::new(NonZeroUsize::MIN, 1);
        let first = queue.enter("a").unwrap().turn().await.unwrap();
        assert_eq!(queue.idle(), 0);
        let mut second = Box::pin(queue.enter("b").unwrap().turn());
        assert!(futures::poll!(&mut second).is_pending());
        drop(first);
        second.await.unwrap();
        assert_eq!(queue.idle(), 1);
    }
}
