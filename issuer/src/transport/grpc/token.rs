//! `tokenbind.v1.TokenService`.

use secrecy::{ExposeSecret as _, SecretString};
use tokenbind_index::MAX_TOKEN_BYTES;
use tokenbind_proto::v1::issue_token_request::Grant as GrantMessage;
use tokenbind_proto::v1::token_service_server::TokenService;
use tokenbind_proto::v1::{Binding, IssueTokenRequest, IssueTokenResponse, RevokeTokenRequest, RevokeTokenResponse};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, async_trait};

use super::access::certificate_sha256;
use super::checks;
use super::credentials::presented_client;
use super::status::to_status;
use crate::context::Issuer;
use crate::error::{FieldViolations, IssuerError};
use crate::grant::{self, Grant};
use crate::issue::{IssueRequest, IssuedToken};
use crate::telemetry;
use crate::throttle::Peer;

/// RFC 8693, section 3.
const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";
/// RFC 6750.
const TOKEN_TYPE: &str = "Bearer";

/// Issues and revokes access tokens.
#[derive(Clone)]
pub(super) struct TokenRpc {
    issuer: Issuer,
}

impl TokenRpc {
    /// Serves this issuer.
    pub(super) fn new(issuer: Issuer) -> Self {
        Self { issuer }
    }
}

#[async_trait]
impl TokenService for TokenRpc {
    async fn issue_token(&self, request: Request<IssueTokenRequest>) -> Result<Response<IssueTokenResponse>, Status> {
        let certificate = certificate_sha256(&request);
        let peer = Peer::of(request.remote_addr());
        let (metadata, _, message) = request.into_parts();
        let request = issue_request(&metadata, peer, message, certificate).map_err(|error| {
            telemetry::refused(None, &error);
            to_status(error)
        })?;
        let token = self.issuer.issue_token(request).await.map_err(to_status)?;
        Ok(Response::new(issue_response(token)))
    }

    async fn revoke_token(
        &self,
        request: Request<RevokeTokenRequest>,
    ) -> Result<Response<RevokeTokenResponse>, Status> {
        let peer = Peer::of(request.remote_addr());
        let (metadata, _, message) = request.into_parts();
        let revision = self.revoke(&metadata, peer, message).await.map_err(to_status)?;
        Ok(Response::new(RevokeTokenResponse { revision }))
    }
}

impl TokenRpc {
    async fn revoke(
        &self,
        metadata: &MetadataMap,
        peer: Peer,
        message: RevokeTokenRequest,
    ) -> Result<u64, IssuerError> {
        let mut violations = FieldViolations::new();
        let (client_id, client_secret) = (message.client_id, message.client_secret);
        let client = presented_client(metadata, peer, client_id, client_secret, &mut violations)?;
        checks::length(&mut violations, "token", &message.token, 1, MAX_TOKEN_BYTES);
        // A hint that is wrong or unknown changes nothing: there is one kind of token to look for.
        checks::length(&mut violations, "token_type_hint", &message.token_type_hint, 0, 64);
        violations.finish()?;
        self.issuer
            .revoke_token(client.as_ref(), &SecretString::from(message.token))
            .await
    }
}

fn issue_request(
    metadata: &MetadataMap,
    peer: Peer,
    message: IssueTokenRequest,
    certificate_sha256: Option<[u8; 32]>,
) -> Result<IssueRequest, IssuerError> {
    let mut violations = FieldViolations::new();
    let (client_id, client_secret) = (message.client_id, message.client_secret);
    let client = presented_client(metadata, peer, client_id, client_secret, &mut violations)?;
    let grant = grant(message.grant, peer, &mut violations);
    checks::scopes(&mut violations, &message.scopes);
    checks::audiences(&mut violations, &message.audiences);
    let binding_id = checks::binding_id(&mut violations, &message.token_binding_id);
    violations.finish()?;
    let grant = grant.ok_or_else(|| IssuerError::invalid_field("grant", "must be set"))?;
    let (scopes, audiences) = (message.scopes, message.audiences);
    Ok(IssueRequest {
        client,
        grant,
        scopes,
        audiences,
        binding_id,
        certificate_sha256,
    })
}

/// Where a further grant is registered.
fn grant(message: Option<GrantMessage>, peer: Peer, violations: &mut FieldViolations) -> Option<Box<dyn Grant>> {
    match message {
        Some(GrantMessage::Password(message)) => {
            let password = SecretString::from(message.password);
            checks::length(violations, "password.username", &message.username, 1, 255);
            checks::length(violations, "password.password", password.expose_secret(), 1, 1_024);
            Some(Box::new(grant::Password {
                username: message.username,
                password,
                peer,
            }))
        }
        Some(GrantMessage::ClientCredentials(_)) => Some(Box::new(grant::ClientCredentials)),
        None => {
            violations.push("grant", "must be one of the grants of this issuer");
            None
        }
    }
}

fn issue_response(token: IssuedToken) -> IssueTokenResponse {
    let reference = token
        .binding_ref
        .map(|reference| reference.encode())
        .unwrap_or_default();
    IssueTokenResponse {
        access_token: token.access_token.expose_secret().to_owned(),
        token_type: TOKEN_TYPE.to_owned(),
        expires_in: token.expires_in,
        scopes: token.scopes.into_iter().collect(),
        issued_token_type: ACCESS_TOKEN_TYPE.to_owned(),
        binding: Some(Binding {
            r#type: token.binding_type.into(),
            r#ref: reference,
        }),
        reused: token.reused,
        superseded: token.superseded,
        revision: token.revision,
    }
}
