//! The spans of all servers under test.

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use std::sync::OnceLock;
use tracing::Level;
use tracing_subscriber::{Layer, filter::Targets, layer::SubscriberExt};

/// Where they end up. One subscriber for the whole process, and before anything can be traced: with one for each test,
/// whether a span is wanted at all is decided for all of them by whoever comes first.
pub(crate) fn spans() -> &'static InMemorySpanExporter {
    static SPANS: OnceLock<(InMemorySpanExporter, SdkTracerProvider)> = OnceLock::new();
    let (exporter, _) = SPANS.get_or_init(|| {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(exporter.clone())
            .build();
        let layer = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("test"))
            .with_filter(Targets::new().with_target("tokenbind", Level::DEBUG));
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer)).unwrap();
        (exporter, provider)
    });
    exporter
}
