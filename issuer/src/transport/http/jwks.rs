//! `GET /oauth2/jwks` (RFC 7517, section 5).

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue};
use tokenbind_runtime::http::cacheable;

use super::error::to_answer;
use crate::context::Issuer;

pub(super) async fn answer(State(issuer): State<Issuer>, headers: HeaderMap) -> Response {
    match issuer.published_keys().await {
        Ok(keys) => cacheable(
            &headers,
            HeaderValue::from_static("application/jwk-set+json"),
            keys.jwks.to_string(),
            keys.max_age_seconds,
        ),
        Err(error) => to_answer(error).into_response(),
    }
}
