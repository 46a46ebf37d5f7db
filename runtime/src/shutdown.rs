//! Shutdown in two stages.
//!
//! Stage 1 withdraws from load balancers, then lets calls in flight finish. Stage 2 cuts them. A signal (or
//! [`Shutdown::trigger`]) starts stage 1, another one stage 2; stage 2 also comes when the grace of stage 1 is over.

use std::{future::Future, io};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Tells every part of a process that it is time to stop. Clones share one state.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    draining: CancellationToken,
    cut: CancellationToken,
    background: CancellationToken,
    tasks: TaskTracker,
}

impl Shutdown {
    /// A shutdown that [`trigger`](Self::trigger) starts.
    pub fn manual() -> Self {
        Self::default()
    }

    /// A shutdown that SIGTERM and SIGINT start.
    ///
    /// # Errors
    /// The signal handlers could not be installed.
    pub fn on_signals() -> io::Result<Self> {
        let shutdown = Self::manual();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let triggered = shutdown.clone();
        shutdown.spawn(async move {
            while !triggered.cut.is_cancelled() {
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                };
                tracing::info!(signal = name, "stopping");
                triggered.trigger();
            }
        });
        Ok(shutdown)
    }

    /// Starts stage 1, or stage 2 if stage 1 was started before.
    pub fn trigger(&self) {
        if self.draining.is_cancelled() {
            self.cut.cancel();
        } else {
            self.draining.cancel();
        }
    }

    /// Whether stage 1 has begun.
    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Waits for stage 1: take no more work from the outside.
    pub async fn draining(&self) {
        self.draining.cancelled().await;
    }

    /// Waits for a stage 2 that was asked for: drop everything.
    pub async fn cut(&self) {
        self.cut.cancelled().await;
    }

    /// Runs a task in the background until it ends by itself or [`finish`](Self::finish) is called.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let background = self.background.clone();
        self.tasks.spawn(async move {
            // `None` says that the task was stopped rather than ended.
            let _ = background.run_until_cancelled_owned(task).await;
        });
    }

    /// Stops the background tasks and waits for them. To be called when the servers have ended.
    pub async fn finish(&self) {
        self.background.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}
