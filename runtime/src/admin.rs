//! The private HTTP server for operators: `GET /metrics`, `/livez`, `/readyz`.

use crate::{
    connection::{self, Accepted, Connection, Cutter},
    health::Readiness,
    metrics,
    shutdown::Shutdown,
};
use axum::{
    Router,
    extract::State,
    http::{Request, StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use futures::StreamExt;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::PrometheusHandle;
use std::{io, net::SocketAddr, pin::pin, time::Duration};
use tokio::{net::TcpListener, task::JoinSet, time};
use tokio_util::sync::CancellationToken;
use tower::{ServiceExt, limit::GlobalConcurrencyLimitLayer};

/// Rendering metrics is the only work here; whoever scrapes more at once waits.
const MAX_REQUESTS: usize = 8;
/// Probes and a few who scrape. Whoever else can reach the port must not use up the files of the process.
const MAX_CONNECTIONS: usize = 128;
/// How long a connection waits for a request, and for all of its head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_HEAD_BYTES: usize = 16 << 10;
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
            let router = router(metrics, readiness);
            // It serves until this task is ended.
            let never = CancellationToken::new();
            let mut accepted = pin!(connection::accept(listener, MAX_CONNECTIONS, never.clone(), never));
            // They end with this task.
            let mut open = JoinSet::new();
            loop {
                tokio::select! {
                    Some(accepted) = accepted.next() => {
                        open.spawn(converse(accepted, router.clone()));
                    }
                    Some(_) = open.join_next() => {}
                }
            }
        });
    }
}

async fn converse(accepted: Accepted, router: Router) {
    let connection = match Connection::new(accepted, &Cutter::default()) {
        Ok(connection) => connection,
        Err(error) => {
            tracing::debug!(%error, "a connection cannot be served");
            return;
        }
    };
    let answer = service_fn(move |request: Request<Incoming>| router.clone().oneshot(request));
    let conversing = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(connection), answer);
    if let Err(error) = conversing.await {
        tracing::debug!(%error, "a connection failed");
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
