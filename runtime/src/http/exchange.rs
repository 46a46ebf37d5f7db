//! One request and its answer: its span and its counters.

use crate::{
    metrics::{HTTP_HANDLED, HTTP_SECONDS, HTTP_STARTED},
    trace_context,
};
use axum::body::Body;
use http::{HeaderMap, Method, Response, StatusCode};
use metrics::{counter, histogram};
use opentelemetry::trace::TraceContextExt;
use tokio::time::Instant;
use tracing::{Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// A request being observed. Dropped before its end, it counts as canceled by the caller.
pub(super) struct Exchange {
    method: &'static str,
    route: String,
    span: Span,
    started: Instant,
    ended: bool,
}

impl Exchange {
    /// `route` is the path that the server has, never the one that was asked for: that is the caller's choice.
    pub(super) fn start(method: &Method, route: &str, headers: &HeaderMap) -> Self {
        let method = label(method);
        let route = route.to_owned();
        counter!(HTTP_STARTED, "http_method" => method, "http_route" => route.clone()).increment(1);
        let span = span_of(method, &route);
        if !span.is_disabled() {
            let parent = trace_context::extract(headers);
            if parent.has_active_span() {
                // It fails where spans only go to the log, which has no use for a parent.
                let _ = span.set_parent(parent);
            }
        }
        Self {
            method,
            route,
            span,
            started: Instant::now(),
            ended: false,
        }
    }

    pub(super) fn started(&self) -> Instant {
        self.started
    }

    pub(super) fn span(&self) -> &Span {
        &self.span
    }

    /// It is answered.
    pub(super) fn end(mut self, response: Response<Body>) -> Response<Body> {
        self.record(Some(response.status()));
        response
    }

    fn record(&mut self, status: Option<StatusCode>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let took = self.started.elapsed();
        let code = status.map_or_else(|| "canceled".to_owned(), |status| status.as_u16().to_string());
        let labels = [
            ("http_method", self.method.to_owned()),
            ("http_route", self.route.clone()),
            ("http_code", code.clone()),
        ];
        counter!(HTTP_HANDLED, &labels).increment(1);
        histogram!(HTTP_SECONDS, &labels).record(took.as_secs_f64());
        if let Some(status) = status {
            self.span.record("http.response.status_code", status.as_u16());
            if status.is_server_error() {
                self.span.record("otel.status_code", "ERROR");
            }
        }
        let (method, route) = (self.method, &self.route);
        self.span.in_scope(|| {
            let took_ms = took.as_secs_f64() * 1000.0;
            tracing::debug!(method, route, code, took_ms, "answered");
        });
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.record(None);
    }
}

/// On the level of debugging, as the spans of RPCs are.
fn span_of(method: &str, route: &str) -> Span {
    tracing::debug_span!(
        "http",
        otel.name = format_args!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = field::Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = field::Empty,
    )
}

/// A method is the caller's choice, too.
fn label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        _ => "other",
    }
}
