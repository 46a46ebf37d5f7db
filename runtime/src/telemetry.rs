//! Logs, traces and metrics of a process: the only part that is global to it.

use crate::{
    audit::Tap,
    config::{LogFormat, TelemetryConfig},
    metrics::{self, MetricsError},
};
use metrics_exporter_prometheus::PrometheusHandle;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use std::{
    any::Any,
    io::{self, IsTerminal},
    panic,
    time::Duration,
};
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::{
    Layer, Registry,
    filter::{FilterFn, LevelFilter},
    layer::SubscriberExt,
    registry::LookupSpan,
    util::{SubscriberInitExt, TryInitError},
};

/// How long one export of traces may take, and how long the last one may delay the end of the process.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(3);

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// Traces cannot be sent to the collector that was configured.
    #[error("traces cannot be exported: {0}")]
    Exporter(#[from] ExporterBuildError),
    /// Metrics cannot be recorded.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The process logs by other means already.
    #[error("logs cannot be set up: {0}")]
    Subscriber(#[from] TryInitError),
}

/// The telemetry of this process. To be [shut down](Self::shutdown) on every way out, or the last traces are lost.
#[derive(Debug)]
#[must_use = "call `shutdown` on every way out"]
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
    metrics: Option<PrometheusHandle>,
}

/// Sets up logs on stderr, traces to a collector and the recorder of metrics, as far as configured.
///
/// To be called once, on a tokio runtime that lives as long as the [`Telemetry`].
///
/// # Errors
/// Something is wrong with the collector's address, or the process has telemetry already.
pub fn init(service_name: &'static str, config: &TelemetryConfig) -> Result<Telemetry, TelemetryError> {
    init_with(service_name, config, None)
}

/// The same with a tap on the audit trail.
///
/// # Errors
/// As of [`init`].
pub fn init_with(
    service_name: &'static str,
    config: &TelemetryConfig,
    tap: Option<Tap>,
) -> Result<Telemetry, TelemetryError> {
    let traces = config
        .otlp_endpoint
        .as_deref()
        .map(|endpoint| exporter(service_name, endpoint))
        .transpose()?;
    let metrics = config.metrics_listen.map(|_| metrics::install()).transpose()?;
    let otel = traces.as_ref().map(|provider| trace_layer(provider, service_name));
    tracing_subscriber::registry()
        .with(log_layer(config))
        .with(otel)
        .with(tap.map(Tap::layer))
        .try_init()?;
    // Otherwise the text of a panic would break the form of the logs.
    panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(location, message = panic_message(panic.payload()), "panicked");
    }));
    if !config.unknown_variables.is_empty() {
        let variables = config.unknown_variables.join(" ");
        tracing::warn!(variables, "no setting has these variables: they change nothing");
    }
    Ok(Telemetry { traces, metrics })
}

impl Telemetry {
    /// What `GET /metrics` serves; `None` unless metrics are configured.
    pub fn metrics(&self) -> Option<PrometheusHandle> {
        self.metrics.clone()
    }

    /// Sends what is left of the traces, for three seconds at most.
    pub async fn shutdown(mut self) {
        if let Some(traces) = self.traces.take() {
            // It blocks until the export is done, which itself needs the runtime.
            let flushed = tokio::task::spawn_blocking(move || traces.shutdown_with_timeout(EXPORT_TIMEOUT)).await;
            if !matches!(flushed, Ok(Ok(()))) {
                tracing::warn!("the last traces could not be exported");
            }
        }
    }
}

/// Something went wrong on the way out: the traces of that are the ones that matter.
impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(traces) = self.traces.take() {
            // What fails here cannot be told to anyone any more.
            let _ = traces.shutdown_with_timeout(EXPORT_TIMEOUT);
        }
    }
}

fn exporter(service_name: &'static str, endpoint: &str) -> Result<SdkTracerProvider, ExporterBuildError> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(EXPORT_TIMEOUT)
        .build()?;
    Ok(SdkTracerProvider::builder()
        .with_resource(Resource::builder().with_service_name(service_name).build())
        .with_batch_exporter(exporter)
        .build())
}

fn log_layer(config: &TelemetryConfig) -> Box<dyn Layer<Registry> + Send + Sync> {
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    let filter = config.log_filter.clone();
    match config.log_format {
        LogFormat::Human => layer.with_filter(filter).boxed(),
        LogFormat::Json => layer
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .with_filter(filter)
            .boxed(),
    }
}

fn trace_layer<S>(provider: &SdkTracerProvider, service_name: &'static str) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(service_name))
        .with_filter(FilterFn::new(is_traced).with_max_level_hint(LevelFilter::DEBUG))
}

/// Only what tokenbind itself says: the exporter's own calls would be traced in turn, without end.
fn is_traced(metadata: &Metadata<'_>) -> bool {
    let most = if metadata.is_span() { Level::DEBUG } else { Level::INFO };
    metadata.target().starts_with("tokenbind") && *metadata.level() <= most
}

fn panic_message(payload: &(dyn Any + Send)) -> &str {
    let owned = || payload.downcast_ref::<String>().map(String::as_str);
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(owned)
        .unwrap_or("no message")
}
