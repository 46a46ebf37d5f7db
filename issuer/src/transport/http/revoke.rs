//! `POST /oauth2/revoke` (RFC 7009).

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::Request;
use tokenbind_proto::v1::RevokeTokenRequest;
use tokenbind_runtime::http::{Form, OAuthError, uncached};
use tonic::metadata::MetadataMap;

use super::error::to_answer;
use super::token::text;
use crate::context::Issuer;
use crate::transport::grpc::token::revoke;

pub(super) async fn answer(State(issuer): State<Issuer>, request: Request<Body>) -> Response {
    match revoked(&issuer, request).await {
        // Section 2.2: whatever became of the token is told by the status alone.
        Ok(()) => uncached(Response::new(Body::empty())),
        Err(error) => error.into_response(),
    }
}

async fn revoked(issuer: &Issuer, request: Request<Body>) -> Result<(), OAuthError> {
    let (parts, mut form) = Form::read(request, &[]).await?;
    let message = RevokeTokenRequest {
        token: text(&mut form, "token"),
        token_type_hint: text(&mut form, "token_type_hint"),
        client_id: text(&mut form, "client_id"),
        client_secret: text(&mut form, "client_secret"),
        client_assertion_type: text(&mut form, "client_assertion_type"),
        client_assertion: text(&mut form, "client_assertion"),
    };
    let metadata = MetadataMap::from_headers(parts.headers);
    let request = tonic::Request::from_parts(metadata, parts.extensions, message);
    revoke(issuer, request).await.map(drop).map_err(to_answer)
}
