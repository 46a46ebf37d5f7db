//! `GET /.well-known/oauth-authorization-server` (RFC 8414) and `GET /oauth2/jwks`: who introspects here, and how its answers are
//! verified.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, HeaderValue};
use serde_json::json;
use tokenbind_runtime::http::cacheable;

use super::{INTROSPECTION_PATH, Identity, JWKS_PATH};

/// How long a caller may keep them.
const MAX_AGE_SECONDS: u32 = 300;

/// A document that stays the same.
#[derive(Clone)]
pub(super) struct Document {
    media_type: HeaderValue,
    text: Arc<str>,
}

/// What a validator tells of itself.
pub(super) struct Published {
    pub(super) metadata: Document,
    pub(super) jwks: Option<Document>,
}

impl Published {
    /// `certificates`: whether callers are asked for them.
    pub(super) fn of(identity: &Identity, certificates: bool) -> Self {
        let base = identity.issuer.trim_end_matches('/');
        let methods: &[&str] = if certificates {
            &["client_secret_basic", "tls_client_auth"]
        } else {
            &["client_secret_basic"]
        };
        let mut metadata = json!({
            "issuer": identity.issuer,
            "introspection_endpoint": format!("{base}{INTROSPECTION_PATH}"),
            "introspection_endpoint_auth_methods_supported": methods,
        });
        if let Some(signer) = &identity.signer {
            metadata["jwks_uri"] = format!("{base}{JWKS_PATH}").into();
            metadata["introspection_signing_alg_values_supported"] = json!([signer.algorithm()]);
        }
        Self {
            metadata: Document {
                media_type: HeaderValue::from_static("application/json"),
                text: metadata.to_string().into(),
            },
            jwks: identity.signer.as_ref().map(|signer| Document {
                media_type: HeaderValue::from_static("application/jwk-set+json"),
                text: signer.jwks().into(),
            }),
        }
    }
}

pub(super) async fn answer(State(document): State<Document>, headers: HeaderMap) -> Response {
    let Document { media_type, text } = document;
    cacheable(&headers, media_type, text.to_string(), MAX_AGE_SECONDS)
}
