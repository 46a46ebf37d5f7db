//! `tokenbind.v1.TokenService`.

use secrecy::{ExposeSecret as _, SecretString};
use tokenbind_index::{BindingId, BindingValue, MAX_TOKEN_BYTES};
use tokenbind_proto::v1::issue_token_request::Grant as GrantMessage;
use tokenbind_proto::v1::token_service_server::TokenService;
use tokenbind_proto::v1::{
    Binding, IssueTokenRequest, IssueTokenResponse, RevokeTokenRequest, RevokeTokenResponse, TokenExchangeGrant,
};
use tonic::{Request, Response, Status, async_trait};

use super::access::certificate_sha256;
use super::checks;
use super::credentials::{ClientFields, presented_client};
use super::status::to_status;
use crate::context::Issuer;
use crate::error::{FieldViolations, IssuerError};
use crate::grant::{self, Grant};
use crate::issue::{IssueRequest, IssuedToken};
use crate::telemetry;
use crate::throttle::Peer;

/// RFC 8693, section 3.
pub(crate) const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";
/// The same section.
const JWT_TYPE: &str = "urn:ietf:params:oauth:token-type:jwt";
/// RFC 6750.
pub(crate) const TOKEN_TYPE: &str = "Bearer";

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
        let request = issue_request(request).map_err(|error| {
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
        let revision = revoke(&self.issuer, request).await.map_err(to_status)?;
        Ok(Response::new(RevokeTokenResponse { revision }))
    }
}

/// Revokes what a message names.
pub(crate) async fn revoke(issuer: &Issuer, request: Request<RevokeTokenRequest>) -> Result<u64, IssuerError> {
    let peer = Peer::of(request.remote_addr());
    let (metadata, extensions, message) = request.into_parts();
    let mut violations = FieldViolations::new();
    let fields = ClientFields {
        id: message.client_id,
        secret: message.client_secret.into(),
        assertion_type: message.client_assertion_type,
        assertion: message.client_assertion.into(),
    };
    let client = presented_client(&metadata, peer, &extensions, fields, &mut violations)?;
    checks::length(&mut violations, "token", &message.token, 1, MAX_TOKEN_BYTES);
    // A hint that is wrong or unknown changes nothing: each token says what it is.
    checks::length(&mut violations, "token_type_hint", &message.token_type_hint, 0, 64);
    violations.finish()?;
    issuer
        .revoke_token(client.as_ref(), &SecretString::from(message.token))
        .await
}

/// What a message asks for, with the connection that it came on.
pub(crate) fn issue_request(request: Request<IssueTokenRequest>) -> Result<IssueRequest, IssuerError> {
    let certificate_sha256 = certificate_sha256(&request);
    let peer = Peer::of(request.remote_addr());
    let (metadata, extensions, message) = request.into_parts();
    let mut violations = FieldViolations::new();
    let fields = ClientFields {
        id: message.client_id,
        secret: message.client_secret.into(),
        assertion_type: message.client_assertion_type,
        assertion: message.client_assertion.into(),
    };
    let client = presented_client(&metadata, peer, &extensions, fields, &mut violations)?;
    // What is wrong with it is told below, in the order of the fields.
    let presented = BindingId::parse(&message.token_binding_id).ok().flatten();
    let presented = presented.map(BindingValue::ClientRequest);
    let presented = presented
        .into_iter()
        .chain(certificate_sha256.map(BindingValue::Certificate));
    let grant = grant(message.grant, presented.collect(), peer, &mut violations);
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
fn grant(
    message: Option<GrantMessage>,
    presented: Vec<BindingValue>,
    peer: Peer,
    violations: &mut FieldViolations,
) -> Option<Box<dyn Grant>> {
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
        Some(GrantMessage::RefreshToken(message)) => {
            let token = SecretString::from(message.refresh_token);
            let field = "refresh_token.refresh_token";
            checks::length(violations, field, token.expose_secret(), 1, MAX_TOKEN_BYTES);
            Some(Box::new(grant::RefreshToken { token }))
        }
        Some(GrantMessage::ClientCredentials(_)) => Some(Box::new(grant::ClientCredentials)),
        Some(GrantMessage::TokenExchange(message)) => Some(Box::new(exchange(message, presented, violations))),
        Some(GrantMessage::JwtBearer(message)) => {
            let assertion = SecretString::from(message.assertion);
            checks::length(
                violations,
                "jwt_bearer.assertion",
                assertion.expose_secret(),
                1,
                MAX_TOKEN_BYTES,
            );
            Some(Box::new(grant::JwtBearer { assertion }))
        }
        None => {
            violations.push("grant", "must be one of the grants of this issuer");
            None
        }
    }
}

fn exchange(
    message: TokenExchangeGrant,
    presented: Vec<BindingValue>,
    violations: &mut FieldViolations,
) -> grant::TokenExchange {
    let subject = shown(
        "subject_token",
        message.subject_token,
        &message.subject_token_type,
        violations,
    );
    let has_actor = !message.actor_token.is_empty();
    if !has_actor && !message.actor_token_type.is_empty() {
        violations.push(
            "token_exchange.actor_token_type",
            "must be absent without an `actor_token`",
        );
    }
    let actor = has_actor.then(|| {
        shown(
            "actor_token",
            message.actor_token,
            &message.actor_token_type,
            violations,
        )
    });
    if !matches!(message.requested_token_type.as_str(), "" | ACCESS_TOKEN_TYPE) {
        let only = format!("must be {ACCESS_TOKEN_TYPE}, or absent");
        violations.push("token_exchange.requested_token_type", only);
    }
    grant::TokenExchange {
        subject,
        actor,
        presented,
    }
}

fn shown(field: &str, token: String, kind: &str, violations: &mut FieldViolations) -> grant::ShownToken {
    checks::length(
        violations,
        &format!("token_exchange.{field}"),
        &token,
        1,
        MAX_TOKEN_BYTES,
    );
    if !matches!(kind, ACCESS_TOKEN_TYPE | JWT_TYPE) {
        let one = format!("must be {ACCESS_TOKEN_TYPE} or {JWT_TYPE}");
        violations.push(format!("token_exchange.{field}_type"), one);
    }
    grant::ShownToken {
        token: token.into(),
        may_be_external: kind == JWT_TYPE,
    }
}

fn issue_response(token: IssuedToken) -> IssueTokenResponse {
    let reference = token
        .binding_ref
        .map(|reference| reference.encode())
        .unwrap_or_default();
    let (refresh_token, refresh_expires_in) = token.refresh_token.map_or_else(Default::default, |refresh| {
        (refresh.token.expose_secret().to_owned(), refresh.expires_in)
    });
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
        refresh_token,
        refresh_expires_in,
    }
}
