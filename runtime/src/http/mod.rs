//! What a service answers over HTTP beside gRPC, on the same port.
//!
//! A service hands over its [`HttpRoutes`]; what is the same for each of them happens here: observation, limits, and the errors
//! that no handler sees. Handlers read forms with [`Form::read`] and answer errors as an [`OAuthError`].

mod cached;
mod error;
mod exchange;
mod form;

pub use cached::cacheable;
pub use error::{OAuthError, json, uncached};
pub use form::Form;

use crate::{
    body::BodyBudget,
    config::ServerConfig,
    rpc::{Limits, Permit, Refusal},
};
use axum::{Router, body::Body, response::IntoResponse, routing::MethodRouter};
use bytes::Bytes;
use exchange::Exchange;
use futures::{
    FutureExt,
    future::{self, BoxFuture},
};
use http::{
    HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, RETRY_AFTER, WWW_AUTHENTICATE},
};
use http_body::{Frame, SizeHint};
use std::{
    collections::HashMap,
    fmt,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{self, Instant};
use tower::ServiceExt;
use tower_http::cors::CorsLayer;
use tracing::Instrument;

/// The answer to a request, in the making.
pub(crate) type Answered = BoxFuture<'static, Response<HttpBody>>;

/// What is left to a handler after its request came too slowly, so that it is the one to say so.
const LAST_WORD: Duration = Duration::from_millis(250);
/// When to come back to a server that is too busy.
pub(super) const RETRY: Duration = Duration::from_secs(1);

/// How long a browser may remember that it may call.
const PREFLIGHT_AGE: Duration = Duration::from_secs(600);

/// The routes of a service: fixed paths, so that each can be a label of metrics.
#[derive(Clone)]
pub struct HttpRoutes {
    router: Router,
    paths: Vec<Arc<str>>,
    origins: Vec<HeaderValue>,
}

impl fmt::Debug for HttpRoutes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRoutes")
            .field("paths", &self.paths)
            .finish_non_exhaustive()
    }
}

impl Default for HttpRoutes {
    fn default() -> Self {
        Self {
            // Only braces are special.
            router: Router::new().without_v07_checks(),
            paths: Vec::new(),
            origins: Vec::new(),
        }
    }
}

impl HttpRoutes {
    /// No routes yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what answers at a path, which has no parameters. A path that is there already keeps what it has.
    #[must_use]
    pub fn route(mut self, path: &str, methods: MethodRouter) -> Self {
        if !self.paths.iter().any(|known| **known == *path) {
            // Braces would make a parameter.
            let literal = path.replace('{', "{{").replace('}', "}}");
            self.router = self.router.route(&literal, methods);
            self.paths.push(path.into());
        }
        self
    }

    /// Lets pages of these origins call from a browser; without any, no browser lets a page read an answer.
    #[must_use]
    pub fn open_to(mut self, origins: &[HeaderValue]) -> Self {
        self.origins = origins.to_vec();
        self
    }
}

/// The path of a server's identifier, without a slash at its end.
pub fn path_of(identifier: &str) -> String {
    let uri = identifier.parse::<Uri>();
    uri.map(|uri| uri.path().trim_end_matches('/').to_owned())
        .unwrap_or_default()
}

/// The routes behind everything that is the same for all of them.
pub(crate) struct Http {
    router: Router,
    paths: HashMap<Arc<str>, Arc<str>>,
    limits: Limits,
    bodies: BodyBudget,
    most_bytes: usize,
    timeout: Duration,
}

/// How much of a body is read, and until when. With each request.
#[derive(Clone, Copy)]
struct BodyLimits {
    bytes: usize,
    deadline: Instant,
}

impl Http {
    pub(crate) fn new(served: HttpRoutes, config: &ServerConfig, limits: Limits, bodies: BodyBudget) -> Self {
        let nowhere = async || OAuthError::new(StatusCode::NOT_FOUND, "not_found", "there is nothing at this path");
        let not_so = async || {
            let why = "the method is not one of those that `Allow` names";
            OAuthError::new(StatusCode::METHOD_NOT_ALLOWED, "invalid_request", why)
        };
        let mut router = served.router.fallback(nowhere).method_not_allowed_fallback(not_so);
        if !served.origins.is_empty() {
            let cors = CorsLayer::new()
                .allow_origin(served.origins)
                .allow_methods([Method::GET, Method::POST])
                .allow_headers([AUTHORIZATION, CONTENT_TYPE])
                .expose_headers([WWW_AUTHENTICATE, RETRY_AFTER])
                .max_age(PREFLIGHT_AGE);
            router = router.layer(cors);
        }
        Self {
            router,
            paths: served.paths.into_iter().map(|path| (Arc::clone(&path), path)).collect(),
            limits,
            bodies,
            most_bytes: config.max_message_bytes,
            timeout: config.request_timeout,
        }
    }

    /// Answers a request; `names_rpc` tells that there is an RPC at its path.
    pub(crate) fn call<B>(&self, request: Request<B>, names_rpc: bool) -> Answered
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<axum::BoxError>,
    {
        let route = self.paths.get(request.uri().path()).map_or("unknown", |path| &**path);
        let exchange = Exchange::start(request.method(), route, request.headers());
        let permit = match self.limits.admit_request(request.headers()) {
            Ok(permit) => permit,
            Err(refusal) => return answered(exchange, refused(&refusal)),
        };
        if !names_one_host(&request) {
            let why = "there must be one `Host` (RFC 9112, section 3.2)";
            return answered(exchange, OAuthError::invalid_request(why));
        }
        if names_rpc {
            let answer = OAuthError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "invalid_request",
                "this is gRPC: it needs HTTP/2 and `content-type: application/grpc`",
            );
            return answered(exchange, answer);
        }
        let deadline = exchange.started() + self.timeout;
        let mut request = request.map(|body| self.bodies.count(body));
        request.extensions_mut().insert(BodyLimits {
            bytes: self.most_bytes,
            deadline,
        });
        let answer = self.router.clone().oneshot(request);
        let span = exchange.span().clone();
        let answered = async move {
            let caught = AssertUnwindSafe(answer).catch_unwind();
            let response = match time::timeout_at(deadline + LAST_WORD, caught).await {
                Ok(Ok(Ok(response))) => response,
                Ok(Ok(Err(never))) => match never {},
                Ok(Err(_)) => {
                    tracing::error!("a request was answered 500 because its handler panicked");
                    OAuthError::internal().into_response()
                }
                Err(_) => OAuthError::unavailable(RETRY).into_response(),
            };
            exchange.end(response).map(|body| HttpBody {
                body,
                _permit: Some(permit),
            })
        };
        answered.instrument(span).boxed()
    }
}

/// The body of an answer. The request counts against the limit until it was taken.
pub(crate) struct HttpBody {
    body: Body,
    _permit: Option<Permit>,
}

impl http_body::Body for HttpBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer without a handler.
fn answered(exchange: Exchange, answer: OAuthError) -> Answered {
    let response = exchange.end(answer.into_response());
    future::ready(response.map(|body| HttpBody { body, _permit: None })).boxed()
}

/// HTTP/2 has something else for it, and HTTP/1.0 need not say. What is in doubt here another server may understand otherwise.
fn names_one_host<B>(request: &Request<B>) -> bool {
    request.version() != Version::HTTP_11 || request.headers().get_all(HOST).iter().count() == 1
}

fn refused(refusal: &Refusal) -> OAuthError {
    match refusal {
        Refusal::MetadataTooLarge { most } => OAuthError::new(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "invalid_request",
            format!("the headers exceed {most} bytes"),
        ),
        Refusal::Overloaded | Refusal::DeadlinePassed => OAuthError::unavailable(RETRY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use http_body_util::Empty;

    #[tokio::test]
    async fn a_path_means_itself() {
        let routes = ["/a", "/a", "/{a}", "/:a", "/*a"]
            .into_iter()
            .fold(HttpRoutes::new(), |routes, path| routes.route(path, get(async || "")));
        let config = ServerConfig::new(([127, 0, 0, 1], 0).into());
        let bodies = BodyBudget::new(config.max_message_bytes);
        let http = Http::new(routes, &config, Limits::new(&config), bodies);
        for (path, status) in [
            ("/a", 200),
            ("/{a}", 200),
            ("/:a", 200),
            ("/*a", 200),
            ("/b", 404),
            ("/a/", 404),
            ("//a", 404),
            ("/%61", 404),
        ] {
            let request = Request::get(path)
                .header(HOST, "h")
                .body(Empty::<Bytes>::new())
                .unwrap();
            assert_eq!(http.call(request, false).await.status(), status, "{path}");
        }
        assert_eq!(path_of("https://a.example/b/c/"), "/b/c");
        assert_eq!(path_of("https://a.example"), "");
    }
}
