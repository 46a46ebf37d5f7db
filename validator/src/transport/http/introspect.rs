//! `POST /oauth2/introspect` (RFC 7662).

use std::ops::Deref as _;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, Request, StatusCode};
use secrecy::ExposeSecret as _;
use tokenbind_index::IndexError;
use tokenbind_proto::v1::IntrospectTokenRequest;
use tokenbind_runtime::credentials::Credentials;
use tokenbind_runtime::http::{Form, OAuthError, json};
use tonic::metadata::MetadataMap;

use super::{Shared, members};
use crate::caller::CallerError;
use crate::introspect::{IntrospectError, Introspected, introspect};

/// When it is worth asking again, if the index could not be asked.
const RETRY: Duration = Duration::from_secs(1);
/// RFC 7617.
const BASIC: HeaderValue = HeaderValue::from_static(r#"Basic realm="tokenbind", charset="UTF-8""#);

pub(super) async fn answer(State(shared): State<Shared>, request: Request<Body>) -> Response {
    match introspected(&shared, request).await {
        Ok(Introspected { token, .. }) => json(&members::of(token.as_deref().map(|token| token.deref()))),
        Err(error) => error.into_response(),
    }
}

async fn introspected(shared: &Shared, request: Request<Body>) -> Result<Introspected, OAuthError> {
    let (parts, mut form) = Form::read(request, &[]).await?;
    let mut text = |name| {
        form.take(name)
            .map_or_else(String::new, |value| value.expose_secret().to_owned())
    };
    let message = IntrospectTokenRequest {
        token: text("token"),
        token_type_hint: text("token_type_hint"),
    };
    let credentials = Credentials::from_metadata(&MetadataMap::from_headers(parts.headers));
    introspect(&shared.validator, &shared.callers, credentials, &message)
        .await
        .map_err(to_answer)
}

/// The one map from an error to an answer over HTTP.
fn to_answer(error: IntrospectError) -> OAuthError {
    match error {
        IntrospectError::Invalid(violations) => {
            let told = violations.iter().map(|it| format!("{}: {}", it.field, it.description));
            OAuthError::invalid_request(told.collect::<Vec<_>>().join("; "))
        }
        IntrospectError::Caller(CallerError::Unavailable(error)) => unavailable(&error),
        IntrospectError::Unavailable(error) => unavailable(&error.0),
        // None but the first can happen: introspection names no other resource.
        IntrospectError::Caller(
            CallerError::InvalidClient | CallerError::ForAnother | CallerError::UnknownResource,
        ) => {
            let why = "the caller must authenticate as a resource: Basic with its id and secret";
            OAuthError::new(StatusCode::UNAUTHORIZED, "invalid_client", why).challenge(BASIC)
        }
    }
}

/// Whatever is wrong with the index, nothing can be told; what it is stays in the log.
fn unavailable(error: &IndexError) -> OAuthError {
    if matches!(error, IndexError::Unavailable(_)) {
        tracing::debug!(%error, "a question cannot be answered");
    } else {
        tracing::warn!(%error, "a question cannot be answered");
    }
    OAuthError::unavailable(RETRY)
}
