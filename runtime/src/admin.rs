//! The private HTTP server for operators: `GET /metrics`, `/livez`, `/readyz`.

use crate::{health::Readiness, metrics, shutdown::Shutdown};
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use metrics_exporter_prometheus::PrometheusHandle;
use std::{io, net::SocketAddr, time::Duration};
use tokio::{net::TcpListener, time};
use tower::limit::GlobalConcurrencyLimitLayer;

/// Rendering metrics is the only work here; whoever scrapes more at once waits.
const MAX_REQUESTS: usize = 8;
/// How often histograms are folded, so that they do not grow between scrapes.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// The HTTP server for operators, bound and not yet serving.
#[derive(Debug)]
pub struct AdminServer {
    listener: TcpListener,
    local_addr: SocketAddr,
    metrics: PrometheusHandle,
}

impl AdminServer {
    /// Listens on `address`; port 0 takes any free one.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn bind(address: SocketAddr, metrics: PrometheusHandle) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let local_addr = listener.local_addr()?;
        Ok(Self {
            listener,
            local_addr,
            metrics,
        })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Serves in the background until [`Shutdown::finish`], so also while the gRPC server drains. `/readyz` answers 200
    /// while all of `readiness` holds and 503 otherwise.
    pub fn spawn(self, readiness: Vec<Readiness>, shutdown: &Shutdown) {
        let Self {
            listener,
            local_addr,
            metrics,
        } = self;
        let upkeep = metrics.clone();
        shutdown.spawn(async move {
            let mut ticks = time::interval(UPKEEP_INTERVAL);
            loop {
                ticks.tick().await;
                upkeep.run_upkeep();
            }
        });
        shutdown.spawn(async move {
            tracing::info!(address = %local_addr, "serving metrics");
            if let Err(error) = axum::serve(listener, router(metrics, readiness)).await {
                tracing::error!(%error, "metrics are no longer served");
            }
        });
    }
}

fn router(metrics: PrometheusHandle, readiness: Vec<Readiness>) -> Router {
    Router::new()
        .route("/metrics", get(render))
        .with_state((metrics, readiness.clone()))
        .route("/livez", get(|| async { "ok\n" }))
        .merge(Router::new().route("/readyz", get(ready)).with_state(readiness))
        .layer(GlobalConcurrencyLimitLayer::new(MAX_REQUESTS))
}

async fn render(State((recorded, readiness)): State<(PrometheusHandle, Vec<Readiness>)>) -> impl IntoResponse {
    metrics::observe_process(all_ready(&readiness));
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], recorded.render())
}

fn all_ready(readiness: &[Readiness]) -> bool {
    readiness.iter().all(Readiness::is_ready)
}

async fn ready(State(readiness): State<Vec<Readiness>>) -> (StatusCode, &'static str) {
    if all_ready(&readiness) {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}
