//! One call from its arrival to the end of its answer: its span, its counters, its last frame.

use super::{
    limits::{Permit, deadline_exceeded},
    methods::{Method, code_name},
    panicked,
};
use crate::{server::HEALTH, talk::SideStream, trace_context};
use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use opentelemetry::trace::TraceContextExt;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::{Code, Status, body::Body};
use tracing::{Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt;

const GRPC_STATUS: &str = "grpc-status";

/// A call being observed. Dropped before its end, it counts as cancelled by the caller.
pub(crate) struct Call {
    method: Arc<Method>,
    span: Span,
    started: Instant,
    ended: bool,
}

impl Call {
    pub(crate) fn start(method: Arc<Method>, headers: &HeaderMap) -> Self {
        method.count_start();
        let span = if method.service == HEALTH {
            Span::none()
        } else {
            span_of(&method)
        };
        if !span.is_disabled() {
            let parent = trace_context::extract(headers);
            if parent.has_active_span() {
                // It fails where spans only go to the log, which has no use for a parent.
                let _ = span.set_parent(parent);
            }
        }
        Self {
            method,
            span,
            started: Instant::now(),
            ended: false,
        }
    }

    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// Whether its answer may last.
    pub(crate) fn answers_stream(&self) -> bool {
        self.method.answers_stream
    }

    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    /// The answer that tells this call when it has ended.
    pub(crate) fn answer(
        mut self,
        response: Response<Body>,
        deadline: Option<Instant>,
        held: Held,
    ) -> Response<AnswerBody> {
        // A status among the headers means that nothing follows them.
        if let Some(code) = status_of(response.headers()) {
            self.end(code);
        }
        response.map(|body| AnswerBody {
            body,
            call: self,
            deadline,
            timer: None,
            _held: held,
        })
    }

    fn end(&mut self, code: Code) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let took = self.started.elapsed();
        self.method.count_end(code, took);
        self.span.record("rpc.grpc.status_code", i32::from(code));
        if is_server_fault(code) {
            self.span.record("otel.status_code", "ERROR");
        }
        let method = &self.method;
        self.span.in_scope(|| {
            let took_ms = took.as_secs_f64() * 1000.0;
            tracing::debug!(
                service = method.service,
                method = method.name,
                code = code_name(code),
                took_ms,
                "answered"
            );
        });
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}

/// On the level of debugging, so that it costs nothing where neither logs nor traces want it. Health has none: it is asked
/// every few seconds, and nobody looks for it.
fn span_of(method: &Method) -> Span {
    tracing::debug_span!(
        "rpc",
        otel.name = format_args!("{}/{}", method.service, method.name),
        otel.kind = "server",
        otel.status_code = field::Empty,
        rpc.system = "grpc",
        rpc.service = method.service,
        rpc.method = method.name,
        rpc.grpc.status_code = field::Empty,
    )
}

/// Codes that say something about the server rather than the caller, as OpenTelemetry's conventions have it.
fn is_server_fault(code: Code) -> bool {
    use Code::{DataLoss, DeadlineExceeded, Internal, Unavailable, Unimplemented, Unknown};
    matches!(
        code,
        Unknown | DeadlineExceeded | Unimplemented | Internal | Unavailable | DataLoss
    )
}

fn status_of(headers: &HeaderMap) -> Option<Code> {
    headers
        .get(GRPC_STATUS)
        .map(|status| Code::from_bytes(status.as_bytes()))
}

/// The body of an answer, held to the caller's deadline and with a net under panics.
pub(crate) struct AnswerBody {
    body: Body,
    call: Call,
    deadline: Option<Instant>,
    /// Only an answer that makes its caller wait needs one.
    timer: Option<Pin<Box<Sleep>>>,
    _held: Held,
}

/// What a call counts by until its answer was taken.
#[derive(Default)]
pub(crate) struct Held {
    pub(super) _permit: Option<Permit>,
    pub(super) _side: Option<SideStream>,
}

impl AnswerBody {
    fn is_overdue(&mut self, context: &mut Context<'_>) -> bool {
        let Some(deadline) = self.deadline else { return false };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        timer.as_mut().poll(context).is_ready()
    }

    /// Ends the answer here.
    fn fail(&mut self, status: &Status) -> Result<Frame<Bytes>, Status> {
        self.body = Body::empty();
        self.call.end(status.code());
        let mut trailers = HeaderMap::new();
        status.add_header(&mut trailers)?;
        Ok(Frame::trailers(trailers))
    }
}

impl HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let polled = this
            .call
            .span
            .in_scope(|| catch_unwind(AssertUnwindSafe(|| Pin::new(&mut this.body).poll_frame(context))));
        match polled {
            Ok(Poll::Ready(frame)) => {
                match &frame {
                    Some(Ok(frame)) => frame
                        .trailers_ref()
                        .and_then(status_of)
                        .into_iter()
                        .for_each(|code| this.call.end(code)),
                    Some(Err(status)) => this.call.end(status.code()),
                    None => this.call.end(Code::Unknown),
                }
                Poll::Ready(frame)
            }
            Ok(Poll::Pending) if this.is_overdue(context) => Poll::Ready(Some(this.fail(&deadline_exceeded()))),
            Ok(Poll::Pending) => Poll::Pending,
            Err(_) => Poll::Ready(Some(this.fail(&panicked()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
