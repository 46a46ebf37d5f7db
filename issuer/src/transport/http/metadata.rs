//! `GET /.well-known/oauth-authorization-server` (RFC 8414).

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use tokenbind_jose::Algorithm;
use tokenbind_runtime::http::cacheable;

use super::{HttpSettings, JWKS_PATH, REVOCATION_PATH, TOKEN_PATH};
use crate::client::{AUTHENTICATION_METHODS, CERTIFICATE_METHOD};
use crate::context::Issuer;
use crate::grant;

/// How long a client may keep them.
const MAX_AGE_SECONDS: u32 = 300;

/// The metadata as they are answered.
#[derive(Clone)]
pub(super) struct Metadata(Arc<str>);

impl Metadata {
    pub(super) fn of(issuer: &Issuer, settings: &HttpSettings) -> Self {
        Self(document(&issuer.issuer_url, settings).to_string().into())
    }
}

pub(super) async fn answer(State(metadata): State<Metadata>, headers: HeaderMap) -> Response {
    cacheable(
        &headers,
        HeaderValue::from_static("application/json"),
        metadata.0.to_string(),
        MAX_AGE_SECONDS,
    )
}

/// There is no authorization endpoint, so `response_types_supported` would have no element: section 3.2 wants it left out.
fn document(issuer_url: &str, settings: &HttpSettings) -> Value {
    let base = issuer_url.trim_end_matches('/');
    let endpoint = |path: &str| format!("{base}{path}");
    let by_certificate = settings.client_certificates.then_some(CERTIFICATE_METHOD);
    let methods: Vec<_> = AUTHENTICATION_METHODS.into_iter().chain(by_certificate).collect();
    let algorithms = Algorithm::ALL.map(Algorithm::as_str);
    let mut document = json!({
        "issuer": issuer_url,
        "token_endpoint": endpoint(TOKEN_PATH),
        "revocation_endpoint": endpoint(REVOCATION_PATH),
        "jwks_uri": endpoint(JWKS_PATH),
        "grant_types_supported": grant::ALL.map(grant::identifier),
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
    });
    if settings.client_certificates {
        // RFC 8705, section 3.3.
        document["tls_client_certificate_bound_access_tokens"] = true.into();
    }
    if let (Some(endpoint), Some(members)) = (&settings.introspection_endpoint, document.as_object_mut()) {
        members.insert("introspection_endpoint".to_owned(), json!(endpoint));
        // Of a resource: its id and secret.
        members.insert(
            "introspection_endpoint_auth_methods_supported".to_owned(),
            json!(["client_secret_basic"]),
        );
    }
    document
}
