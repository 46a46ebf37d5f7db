//! Health that tells the truth: `grpc.health.v1.Health`, and the same for `/readyz`.

use crate::shutdown::Shutdown;
use futures::{FutureExt, future::BoxFuture};
use std::{fmt, panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio::{sync::watch, time};
use tonic_health::{
    ServingStatus,
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};

/// How often a probe is made unless said otherwise.
pub const DEFAULT_INTERVAL: Duration = Duration::from_millis(500);

/// A probe that takes longer has failed.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Whether services can do their work, as a probe sees it. Clones share one state.
#[derive(Clone)]
pub struct Readiness {
    reporter: HealthReporter,
    services: Arc<[String]>,
    ready: watch::Receiver<bool>,
}

impl Readiness {
    /// Watches what the named gRPC services need. They, and `""` for the server as a whole, are `NOT_SERVING` until a first
    /// probe succeeds, whenever one fails or takes longer than [`PROBE_TIMEOUT`], and for good once `shutdown` drains.
    ///
    /// The first probe is made at once, the next ones `interval` after the last has ended. What a probe says about a
    /// failure goes to the log, never to a caller.
    pub async fn watch<P>(services: &[&str], probe: P, interval: Duration, shutdown: &Shutdown) -> Self
    where
        P: Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync + 'static,
    {
        let (sender, ready) = watch::channel(false);
        let names = services.iter().map(ToString::to_string).chain([String::new()]);
        let readiness = Self {
            reporter: HealthReporter::new(),
            services: names.collect(),
            ready,
        };
        // The reporter starts as SERVING.
        readiness.report(ServingStatus::NotServing).await;
        let watcher = Watcher {
            readiness: readiness.clone(),
            sender,
            failing: None,
        };
        shutdown.spawn(watcher.run(probe, interval, shutdown.clone()));
        readiness
    }

    /// Whether the last probe succeeded and no shutdown has begun.
    pub fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// Waits until [`is_ready`](Self::is_ready); `false` if that will never be again.
    pub async fn ready(&self) -> bool {
        self.ready.clone().wait_for(|ready| *ready).await.is_ok()
    }

    /// Waits until [`is_ready`](Self::is_ready) no longer holds.
    pub(crate) async fn withdrawn(&self) {
        // An error says that the watcher is gone, and with it readiness.
        let _ = self.ready.clone().wait_for(|ready| !*ready).await;
    }

    /// Ends every `Watch` stream: they never end by themselves, and would hold up a shutdown for its whole grace.
    pub(crate) async fn close(&self) {
        let mut reporter = self.reporter.clone();
        for service in self.services.iter() {
            reporter.clear_service_status(service).await;
        }
    }

    pub(crate) fn health_server(&self) -> HealthServer<HealthService> {
        HealthServer::new(HealthService::from_health_reporter(self.reporter.clone()))
    }

    async fn report(&self, status: ServingStatus) {
        for service in self.services.iter() {
            self.reporter.set_service_status(service, status).await;
        }
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness")
            .field("services", &self.services)
            .field("ready", &self.is_ready())
            .finish_non_exhaustive()
    }
}

/// One probe. Whatever becomes of it, the watcher lives on: without one, the last answer would stand for ever.
async fn bounded<P>(probe: &P) -> Result<(), String>
where
    P: Fn() -> BoxFuture<'static, Result<(), String>>,
{
    let caught = AssertUnwindSafe(async { probe().await }).catch_unwind();
    match time::timeout(PROBE_TIMEOUT, caught).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err("the probe panicked".to_owned()),
        Err(_) => Err("the probe timed out".to_owned()),
    }
}

/// The one writer of a [`Readiness`].
struct Watcher {
    readiness: Readiness,
    sender: watch::Sender<bool>,
    /// Why the last probe failed. Only changes are logged.
    failing: Option<String>,
}

impl Watcher {
    async fn run<P>(mut self, probe: P, interval: Duration, shutdown: Shutdown)
    where
        P: Fn() -> BoxFuture<'static, Result<(), String>> + Send,
    {
        loop {
            let outcome = tokio::select! {
                biased;
                () = shutdown.draining() => break,
                outcome = bounded(&probe) => outcome,
            };
            self.turn(outcome).await;
            tokio::select! {
                () = shutdown.draining() => break,
                () = time::sleep(interval) => {}
            }
        }
        self.readiness.report(ServingStatus::NotServing).await;
        self.sender.send_replace(false);
    }

    async fn turn(&mut self, outcome: Result<(), String>) {
        let was_ready = *self.sender.borrow();
        match outcome {
            Ok(()) if !was_ready => {
                self.failing = None;
                self.change(ServingStatus::Serving).await;
                tracing::info!("ready");
            }
            Err(reason) if self.failing.as_ref() != Some(&reason) => {
                tracing::warn!(reason, "not ready");
                self.failing = Some(reason);
                self.change(ServingStatus::NotServing).await;
            }
            _ => {}
        }
    }

    async fn change(&self, status: ServingStatus) {
        self.readiness.report(status).await;
        self.sender.send_replace(status == ServingStatus::Serving);
    }
}
