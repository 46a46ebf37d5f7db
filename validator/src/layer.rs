//! The validator in front of a service over HTTP.

use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use tokenbind_index::BindingIdTooLong;
use tokenbind_proto::v1::Decision;
use tower::{Layer, Service};

use crate::facts::KnownToken;
use crate::in_process::{GuardedRequest, InProcessValidator};
use crate::question::{Presented, Presenter};

/// Lets a request through with a good Bearer token (RFC 6750) only, and what is known of that, as an `Arc<KnownToken>` among
/// the request's extensions. Everything else is answered without a body: 400, 401 or 403 with `WWW-Authenticate`, and 503
/// where there is no verdict.
#[derive(Clone, Debug)]
pub struct TokenLayer {
    guard: Arc<Guard>,
}

/// What every request is held to.
#[derive(Clone, Debug)]
struct Guard {
    validator: Arc<InProcessValidator>,
    resource_id: String,
    binding_header: Option<HeaderName>,
    required_scopes: Vec<String>,
}

impl TokenLayer {
    /// Guards a resource that is declared under this id.
    pub fn new(validator: Arc<InProcessValidator>, resource_id: impl Into<String>) -> Self {
        let guard = Guard {
            validator,
            resource_id: resource_id.into(),
            binding_header: None,
            required_scopes: Vec::new(),
        };
        Self { guard: Arc::new(guard) }
    }

    /// Takes the `token_binding_id` from this header.
    #[must_use]
    pub fn binding_header(mut self, name: HeaderName) -> Self {
        Arc::make_mut(&mut self.guard).binding_header = Some(name);
        self
    }

    /// Requires all of these scopes.
    #[must_use]
    pub fn required_scopes(mut self, scopes: Vec<String>) -> Self {
        Arc::make_mut(&mut self.guard).required_scopes = scopes;
        self
    }
}

impl<S> Layer<S> for TokenLayer {
    type Service = TokenGuarded<S>;

    fn layer(&self, inner: S) -> TokenGuarded<S> {
        TokenGuarded {
            guard: Arc::clone(&self.guard),
            inner,
        }
    }
}

/// A service behind a [`TokenLayer`].
#[derive(Clone, Debug)]
pub struct TokenGuarded<S> {
    guard: Arc<Guard>,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for TokenGuarded<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<R>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let guard = Arc::clone(&self.guard);
        // The one that was ready is the one to call.
        let waiting = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, waiting);
        Box::pin(async move {
            let token = match guard.admit(request.headers()).await {
                Ok(token) => token,
                Err(refusal) => return Ok(refusal.into_response()),
            };
            request.extensions_mut().insert(token);
            inner.call(request).await
        })
    }
}

/// What a request is answered that is not let through.
struct Refusal {
    status: StatusCode,
    www_authenticate: Option<HeaderValue>,
}

impl Refusal {
    /// RFC 6750, section 3.1.
    fn invalid_request() -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            www_authenticate: Some(HeaderValue::from_static(r#"Bearer error="invalid_request""#)),
        }
    }

    /// V10.
    fn unavailable() -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            www_authenticate: None,
        }
    }

    fn into_response<R: Default>(self) -> Response<R> {
        let mut response = Response::new(R::default());
        *response.status_mut() = self.status;
        if let Some(challenge) = self.www_authenticate {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

impl Guard {
    async fn admit(&self, headers: &HeaderMap) -> Result<Arc<KnownToken>, Refusal> {
        let authorization = only(headers, &header::AUTHORIZATION)?;
        let binding_id = match &self.binding_header {
            Some(name) => only(headers, name)?,
            None => "",
        };
        let presenter = Presenter::with_binding_id(binding_id);
        let request = GuardedRequest {
            token: Presented(bearer(authorization)),
            presenter: presenter.map_err(|BindingIdTooLong| Refusal::invalid_request())?,
            required_scopes: &self.required_scopes,
            ..GuardedRequest::default()
        };
        let verdict = self.validator.validate(&self.resource_id, &request).await;
        let verdict = verdict.map_err(|error| {
            tracing::debug!(%error, "a request cannot be judged");
            Refusal::unavailable()
        })?;
        match (verdict.decision(), verdict.token) {
            (Decision::Allow, Some(token)) => Ok(token),
            (decision, _) => Err(Refusal {
                status: match decision {
                    Decision::PermissionDenied => StatusCode::FORBIDDEN,
                    _ => StatusCode::UNAUTHORIZED,
                },
                www_authenticate: HeaderValue::from_str(&verdict.www_authenticate).ok(),
            }),
        }
    }
}

/// A header that may be there once; empty where it is not.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<&'a str, Refusal> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(""),
        (Some(value), None) => std::str::from_utf8(value.as_bytes()).map_err(|_| Refusal::invalid_request()),
        (Some(_), Some(_)) => Err(Refusal::invalid_request()),
    }
}

/// The token of a Bearer credential; empty, as none, where it is another scheme.
fn bearer(authorization: &str) -> &str {
    match authorization.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim_start_matches(' '),
        _ => "",
    }
}
