//! `POST /oauth2/introspect` (RFC 7662, RFC 9701).

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderValue, Request, StatusCode};
use secrecy::ExposeSecret as _;
use tokenbind_index::IndexError;
use tokenbind_proto::v1::IntrospectTokenRequest;
use tokenbind_runtime::credentials::Credentials;
use tokenbind_runtime::http::{Form, OAuthError, json, uncached};
use tonic::metadata::MetadataMap;

use super::accepted::{Accepted, JWT, accepted};
use super::{IntrospectionSigner, Shared, members};
use crate::caller::CallerError;
use crate::introspect::{IntrospectError, Introspected, introspect};
use crate::observe::caller_refused;

/// When it is worth asking again, if the index could not be asked.
const RETRY: Duration = Duration::from_secs(1);
/// RFC 7617.
const BASIC: HeaderValue = HeaderValue::from_static(r#"Basic realm="tokenbind", charset="UTF-8""#);

pub(super) async fn answer(State(shared): State<Shared>, request: Request<Body>) -> Response {
    answered(&shared, request)
        .await
        .unwrap_or_else(axum::response::IntoResponse::into_response)
}

async fn answered(shared: &Shared, request: Request<Body>) -> Result<Response, OAuthError> {
    let (parts, form) = Form::read(request, &[]).await?;
    let signer = chosen(shared, accepted(&parts.headers))?;
    let Introspected { caller, token } = introspected(shared, parts, form).await?;
    let told = members::of(token.as_deref().map(|token| &**token));
    let Some((issuer, signer)) = signer else {
        return Ok(json(&told));
    };
    let jwt = signer.sign(issuer, caller.id(), shared.clock.now_seconds(), &told);
    let mut response = Response::new(Body::from(jwt.ok_or_else(OAuthError::internal)?));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(JWT));
    Ok(uncached(response))
}

/// Who signs the answer, if it is to be signed (RFC 9701, section 4).
fn chosen(shared: &Shared, accepted: Accepted) -> Result<Option<(&str, &IntrospectionSigner)>, OAuthError> {
    let identity = shared.identity.as_ref();
    let signer = identity.and_then(|it| Some((it.issuer.as_str(), it.signer.as_deref()?)));
    match (accepted, signer) {
        (Accepted::Json, _) | (Accepted::JwtOrJson, None) => Ok(None),
        (Accepted::Jwt | Accepted::JwtOrJson, Some(signer)) => Ok(Some(signer)),
        (Accepted::Jwt, None) => {
            let why = "answers are not signed here: accept application/json";
            Err(OAuthError::new(StatusCode::NOT_ACCEPTABLE, "invalid_request", why))
        }
    }
}

async fn introspected(shared: &Shared, parts: Parts, mut form: Form) -> Result<Introspected, OAuthError> {
    let mut text = |name| {
        form.take(name)
            .map_or_else(String::new, |value| value.expose_secret().to_owned())
    };
    let message = IntrospectTokenRequest {
        token: text("token"),
        token_type_hint: text("token_type_hint"),
    };
    let client_id = text("client_id");
    let credentials = Credentials::from_metadata(&MetadataMap::from_headers(parts.headers));
    let credentials = credentials.map(|found| match found {
        Some(found) => Some(found.or_certificate(&parts.extensions)),
        // RFC 8705, section 2: `tls_client_auth` names the client in the form.
        None => Credentials::certificate(client_id, &parts.extensions),
    });
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
            caller_refused();
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
