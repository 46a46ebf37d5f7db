//! `GET /oauth2/jwks` (RFC 7517, section 5).

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue};
use tokenbind_runtime::http::cacheable;

use super::error::to_answer;
use crate::context::Issuer;

/// How long a verifier may keep the keys: a new one is published for at least as long before it signs.
pub const MAX_AGE_SECONDS: u32 = 300;

pub(super) async fn answer(State(issuer): State<Issuer>, headers: HeaderMap) -> Response {
    match issuer.key_set().await {
        Ok(set) => cacheable(
            &headers,
            HeaderValue::from_static("application/jwk-set+json"),
            set.jwks.to_string(),
            MAX_AGE_SECONDS,
        ),
        Err(error) => to_answer(error).into_response(),
    }
}
