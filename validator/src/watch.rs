//! How long a verdict holds: until something that it rests on changes, ends, or is no longer heard of.

use std::sync::Arc;
use std::time::Duration;

use tokenbind_index::{Clock, Stamp, TrackedIndex};
use tokenbind_runtime::shutdown::Shutdown;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

use crate::facts::FactInputs;

/// A verdict is looked at again after this long at the latest: whatever ends by the clock ends so even if the clock is set
/// meanwhile, and so do the secrets of callers.
const LONGEST_REST: Duration = Duration::from_secs(60);

/// How many calls may stay open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenLimits {
    /// Of `WatchToken`.
    pub watches: usize,
    /// Of `StreamValidate`.
    pub streams: usize,
}

impl Default for OpenLimits {
    fn default() -> Self {
        Self {
            watches: 10_000,
            streams: 1_000,
        }
    }
}

/// The calls that stay open, and when they end.
#[derive(Clone)]
pub struct OpenCalls {
    watches: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    tracking: Option<Arc<dyn TrackedIndex>>,
    clock: Arc<dyn Clock>,
    stop: Option<(Shutdown, Duration)>,
}

/// Why a verdict is to be looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disturbance {
    /// Something may have changed.
    Changed,
    /// The index is not heard: changes would go unnoticed.
    Unheard,
}

impl OpenCalls {
    /// No calls yet.
    pub fn new(inputs: &FactInputs, limits: OpenLimits) -> Self {
        Self {
            watches: Arc::new(Semaphore::new(limits.watches)),
            streams: Arc::new(Semaphore::new(limits.streams)),
            tracking: inputs.tracking.clone(),
            clock: Arc::clone(&inputs.clock),
            stop: None,
        }
    }

    /// Lets the calls end this long after a shutdown has begun, rather than be cut later.
    #[must_use]
    pub fn ending_with(mut self, shutdown: Shutdown, drain: Duration) -> Self {
        self.stop = Some((shutdown, drain));
        self
    }

    /// Room for another watch, if there is any.
    pub(crate) fn admit_watch(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.watches).try_acquire_owned().ok()
    }

    /// Room for another stream, if there is any.
    pub(crate) fn admit_stream(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.streams).try_acquire_owned().ok()
    }

    /// Waits until calls have to end.
    pub(crate) async fn stopped(&self) {
        match &self.stop {
            Some((shutdown, drain)) => {
                shutdown.draining().await;
                sleep(*drain).await;
            }
            None => std::future::pending().await,
        }
    }

    /// Whether the index tells its changes at the moment.
    pub(crate) fn is_heard(&self) -> bool {
        self.tracking
            .as_deref()
            .is_some_and(|tracking| tracking.confirmed().is_some())
    }

    /// Waits until what was read under one of the stamps may have changed, or the token ends.
    pub(crate) async fn disturbed(
        &self,
        [token, application, key, resource]: &[Stamp; 4],
        ends_at_us: u64,
    ) -> Disturbance {
        let Some(tracking) = self.tracking.as_deref() else {
            return Disturbance::Unheard;
        };
        let left = Duration::from_micros(ends_at_us.saturating_sub(self.clock.now_us()));
        // A timer of tokio can be up to a millisecond early.
        let rest = (left + Duration::from_millis(1)).min(LONGEST_REST);
        tokio::select! {
            () = tracking.changed(token) => {}
            () = tracking.changed(application) => {}
            () = tracking.changed(key) => {}
            () = tracking.changed(resource) => {}
            () = sleep(rest) => {}
        }
        if self.is_heard() {
            Disturbance::Changed
        } else {
            Disturbance::Unheard
        }
    }
}

impl std::fmt::Debug for OpenCalls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenCalls")
            .field("watches_left", &self.watches.available_permits())
            .field("streams_left", &self.streams.available_permits())
            .finish_non_exhaustive()
    }
}
