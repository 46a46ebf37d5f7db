//! Prometheus metrics, and what the metrics of RPCs are called.
//!
//! | name | kind | labels | meaning |
//! |---|---|---|---|
//! | [`RPC_STARTED`] | counter | type, service, method | calls that arrived |
//! | [`RPC_HANDLED`] | counter | type, service, method, code | calls that ended, in whatever way |
//! | [`RPC_SECONDS`] | histogram | type, service, method, code | seconds from arrival to the end of the answer |
//! | [`HTTP_STARTED`] | counter | method, route | requests that arrived |
//! | [`HTTP_HANDLED`] | counter | method, route, code | requests that ended, in whatever way |
//! | [`HTTP_SECONDS`] | histogram | method, route, code | seconds from arrival to the answer |
//! | [`READY`] | gauge | – | 1 while everything that the process serves can do its work, otherwise 0 |
//! | [`BUILD_INFO`] | gauge | version | always 1 |
//! | `process_…` | | – | processor time, memory, threads and files, under the names that Prometheus gives them |
//! | [`CLOCK_SKEW`] | gauge | | seconds that this clock is ahead of the store's, as last compared |
//!
//! The names of the first three are those that dashboards for gRPC servers expect. A call that the server does not know counts
//! under `unknown`, as a request to an unknown path does; nothing that a caller can choose ever becomes a label.

use ::metrics::{Unit, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;
use std::sync::{Mutex, PoisonError};

/// Calls that arrived.
pub const RPC_STARTED: &str = "grpc_server_started_total";
/// Calls that ended.
pub const RPC_HANDLED: &str = "grpc_server_handled_total";
/// How long calls took, in seconds.
pub const RPC_SECONDS: &str = "grpc_server_handling_seconds";

/// HTTP requests that arrived.
pub const HTTP_STARTED: &str = "http_server_started_total";
/// HTTP requests that ended.
pub const HTTP_HANDLED: &str = "http_server_handled_total";
/// How long HTTP requests took, in seconds.
pub const HTTP_SECONDS: &str = "http_server_handling_seconds";
/// Whether the process is ready.
pub const READY: &str = "tokenbind_ready";
/// Which version runs.
pub const BUILD_INFO: &str = "tokenbind_build_info";
/// How far this process's clock is ahead of the store's, in seconds.
pub const CLOCK_SKEW: &str = "tokenbind_clock_skew_seconds";

/// Upper bounds of the buckets of every histogram whose name ends in `_seconds`.
const SECONDS_BUCKETS: [f64; 15] = [
    0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

/// Why metrics could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The recorder refused its settings.
    #[error("metrics cannot be recorded: {0}")]
    Build(#[from] BuildError),
    /// Something else records the metrics of this process.
    #[error("another recorder of metrics is installed already")]
    Taken,
}

/// Records the metrics of this process from now on. A second call answers with the recorder of the first.
///
/// To be called before [`server::serve`](crate::server::serve), which keeps hold of what it counts with.
///
/// # Errors
/// Another recorder was installed by other means.
pub fn install() -> Result<PrometheusHandle, MetricsError> {
    static INSTALLED: Mutex<Option<PrometheusHandle>> = Mutex::new(None);
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*installed {
        return Ok(handle.clone());
    }
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS_BUCKETS)?
        .build_recorder();
    let handle = recorder.handle();
    ::metrics::set_global_recorder(recorder).map_err(|_| MetricsError::Taken)?;
    describe_counter!(RPC_STARTED, "Calls that arrived.");
    describe_counter!(RPC_HANDLED, "Calls that ended, by gRPC status code.");
    describe_histogram!(
        RPC_SECONDS,
        Unit::Seconds,
        "Seconds from the arrival of a call to the end of its answer."
    );
    describe_counter!(HTTP_STARTED, "HTTP requests that arrived.");
    describe_counter!(HTTP_HANDLED, "HTTP requests that ended, by status code.");
    describe_histogram!(
        HTTP_SECONDS,
        Unit::Seconds,
        "Seconds from the arrival of an HTTP request to its answer."
    );
    describe_gauge!(READY, "1 while the process can do its work, otherwise 0.");
    describe_gauge!(BUILD_INFO, "Always 1; the label tells the version.");
    gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1);
    Collector::default().describe();
    describe_gauge!(
        CLOCK_SKEW,
        Unit::Seconds,
        "Seconds that this clock is ahead of the store's, as last compared."
    );
    *installed = Some(handle.clone());
    Ok(handle)
}

/// Records what is true at the moment of a scrape: readiness, and what the process takes.
pub(crate) fn observe_process(ready: bool) {
    gauge!(READY).set(i32::from(ready));
    Collector::default().collect();
}

/// The clocks were compared.
pub fn clock_skew(ahead_us: i64) {
    #[expect(clippy::cast_precision_loss, reason = "microseconds are more than enough")]
    gauge!(CLOCK_SKEW).set(ahead_us as f64 / 1e6);
}
