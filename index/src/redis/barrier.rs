//! One heartbeat, or one look, for everybody who needs to know how things are now.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::timeout;

/// Those who wait for a heartbeat that is sent after they came. While one is on its way the others gather, and the next is
/// for all of them: the more ask, the less each costs.
pub(super) struct Barrier {
    /// How many have come.
    came: AtomicU64,
    wanted: Notify,
    answered: watch::Sender<Answered>,
    patience: Duration,
}

/// For how many of those who came a heartbeat was answered, or will not be.
#[derive(Clone, Copy, Default)]
struct Answered {
    heard: u64,
    unheard: u64,
}

impl Barrier {
    /// Nobody waits longer than `patience`.
    pub(super) fn new(patience: Duration) -> Self {
        Self {
            patience,
            came: AtomicU64::new(0),
            wanted: Notify::new(),
            answered: watch::Sender::new(Answered::default()),
        }
    }

    /// Waits until somebody wants a heartbeat.
    pub(super) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// Wants a heartbeat without waiting for it.
    pub(super) fn want(&self) {
        self.wanted.notify_one();
    }

    /// Who came before a heartbeat that is sent now.
    pub(super) fn came(&self) -> u64 {
        self.came.load(Ordering::SeqCst)
    }

    /// The heartbeat after which this many had come was answered.
    pub(super) fn heard(&self, came: u64) {
        self.answered.send_modify(|answered| answered.heard = came);
    }

    /// Nobody who came so far will be told more.
    pub(super) fn unheard(&self) {
        let came = self.came();
        self.answered.send_modify(|answered| answered.unheard = came);
    }

    /// Whether a heartbeat that was sent after this call began was answered. `open` tells whether there is anybody to send
    /// it, and is asked when it can no longer be missed.
    pub(super) async fn wait(&self, open: impl Fn() -> bool) -> bool {
        self.wait_for(self.patience, open).await
    }

    /// The same with another patience.
    pub(super) async fn wait_for(&self, patience: Duration, open: impl Fn() -> bool) -> bool {
        let mut answered = self.answered.subscribe();
        let mine = self.came.fetch_add(1, Ordering::SeqCst) + 1;
        if !open() {
            return false;
        }
        self.wanted.notify_one();
        let told = answered.wait_for(|answered| answered.heard >= mine || answered.unheard >= mine);
        match timeout(patience, told).await {
            Ok(Ok(answered)) => answered.heard >= mine,
            Ok(Err(_)) | Err(_) => false,
        }
    }
}
