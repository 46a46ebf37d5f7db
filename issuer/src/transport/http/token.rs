//! `POST /oauth2/token` (RFC 6749, section 3.2).

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::Request;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use tokenbind_proto::v1::issue_token_request::Grant;
use tokenbind_proto::v1::{
    BindingType, ClientCredentialsGrant, GrantType, IssueTokenRequest, JwtBearerGrant, PasswordGrant,
    RefreshTokenGrant, TokenExchangeGrant,
};
use tokenbind_runtime::http::{Form, OAuthError, json};
use tonic::metadata::MetadataMap;
use url::Url;

use super::error::to_answer;
use crate::context::Issuer;
use crate::error::IssuerError;
use crate::grant;
use crate::issue::IssuedToken;
use crate::telemetry;
use crate::transport::grpc::token::{ACCESS_TOKEN_TYPE, TOKEN_TYPE, issue_request};

/// RFC 8693, section 2.1; RFC 8707, section 2.
const REPEATABLE: [&str; 2] = ["resource", "audience"];
/// The names of one parameter.
const BINDING_ID: [&str; 2] = ["tokenBindingId", "token_binding_id"];

pub(super) async fn answer(State(issuer): State<Issuer>, request: Request<Body>) -> Response {
    match issue(&issuer, request).await {
        Ok(token) => json(&token),
        Err(error) => error.into_response(),
    }
}

async fn issue(issuer: &Issuer, request: Request<Body>) -> Result<TokenAnswer, OAuthError> {
    let (parts, form) = Form::read(request, &REPEATABLE).await?;
    let refused = |error: IssuerError| {
        telemetry::refused(None, &error);
        to_answer(error)
    };
    let message = message(form).map_err(refused)?;
    let is_exchange = matches!(message.grant, Some(Grant::TokenExchange(_)));
    let metadata = MetadataMap::from_headers(parts.headers);
    let request = tonic::Request::from_parts(metadata, parts.extensions, message);
    let request = issue_request(request).map_err(refused)?;
    let token = issuer.issue_token(request).await.map_err(to_answer)?;
    Ok(TokenAnswer::of(token, is_exchange))
}

/// The message of the contract that the form is.
fn message(mut form: Form) -> Result<IssueTokenRequest, IssuerError> {
    let [resources, audiences] = REPEATABLE.map(|name| {
        let values = form.take_all(name).into_iter();
        values.map(|value| value.expose_secret().to_owned()).collect::<Vec<_>>()
    });
    check_resources(&resources)?;
    let scope = text(&mut form, "scope");
    Ok(IssueTokenRequest {
        grant: Some(grant(&mut form)?),
        client_id: text(&mut form, "client_id"),
        client_secret: text(&mut form, "client_secret"),
        scopes: if scope.is_empty() {
            Vec::new()
        } else {
            scope.split(' ').map(str::to_owned).collect()
        },
        audiences: [resources, audiences].concat(),
        token_binding_id: binding_id(&mut form)?,
        client_assertion_type: text(&mut form, "client_assertion_type"),
        client_assertion: text(&mut form, "client_assertion"),
    })
}

fn grant(form: &mut Form) -> Result<Grant, IssuerError> {
    let name = text(form, "grant_type");
    if name.is_empty() {
        return Err(IssuerError::invalid_field("grant_type", "is required"));
    }
    let unknown = || {
        let why = "must be one of the grants of this issuer (`grant_types_supported` in its metadata)";
        IssuerError::invalid_field("grant", why)
    };
    Ok(match grant::named(&name).ok_or_else(unknown)? {
        GrantType::Password => Grant::Password(PasswordGrant {
            username: text(form, "username"),
            password: text(form, "password"),
        }),
        GrantType::ClientCredentials => Grant::ClientCredentials(ClientCredentialsGrant {}),
        GrantType::RefreshToken => Grant::RefreshToken(RefreshTokenGrant {
            refresh_token: text(form, "refresh_token"),
        }),
        GrantType::TokenExchange => Grant::TokenExchange(TokenExchangeGrant {
            subject_token: text(form, "subject_token"),
            subject_token_type: text(form, "subject_token_type"),
            actor_token: text(form, "actor_token"),
            actor_token_type: text(form, "actor_token_type"),
            requested_token_type: text(form, "requested_token_type"),
        }),
        GrantType::JwtBearer => Grant::JwtBearer(JwtBearerGrant {
            assertion: text(form, "assertion"),
        }),
        GrantType::Unspecified => return Err(unknown()),
    })
}

/// C74.
fn check_resources(resources: &[String]) -> Result<(), IssuerError> {
    let absolute = |resource: &String| Url::parse(resource).is_ok() && !resource.contains('#');
    if resources.iter().all(absolute) {
        return Ok(());
    }
    let why = "a `resource` must be an absolute URI without a fragment (RFC 8707, section 2)";
    Err(IssuerError::invalid_field("audiences", why))
}

fn binding_id(form: &mut Form) -> Result<String, IssuerError> {
    let values = BINDING_ID.map(|name| text(form, name));
    if values.iter().all(|value| !value.is_empty()) {
        let why = format!("is there twice, as `{}` and as `{}`", BINDING_ID[0], BINDING_ID[1]);
        return Err(IssuerError::invalid_field("token_binding_id", why));
    }
    Ok(values.concat())
}

/// Nothing, where there is none.
pub(super) fn text(form: &mut Form, name: &str) -> String {
    let value: Option<SecretString> = form.take(name);
    value.map_or_else(String::new, |value| value.expose_secret().to_owned())
}

/// RFC 6749, section 5.1; RFC 8693, section 2.2.1; and what the contract tells beside.
#[derive(Serialize)]
struct TokenAnswer {
    access_token: String,
    token_type: &'static str,
    expires_in: u32,
    #[serde(skip_serializing_if = "String::is_empty")]
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_expires_in: Option<u32>,
    binding_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    binding_ref: Option<String>,
    reused: bool,
    superseded: bool,
    revision: u64,
}

impl TokenAnswer {
    fn of(token: IssuedToken, is_exchange: bool) -> Self {
        let scopes: Vec<_> = token.scopes.into_iter().collect();
        let (refresh_token, refresh_expires_in) = token
            .refresh_token
            .map(|refresh| (refresh.token.expose_secret().to_owned(), refresh.expires_in))
            .unzip();
        Self {
            access_token: token.access_token.expose_secret().to_owned(),
            token_type: TOKEN_TYPE,
            expires_in: token.expires_in,
            scope: scopes.join(" "),
            issued_token_type: is_exchange.then_some(ACCESS_TOKEN_TYPE),
            refresh_token,
            refresh_expires_in,
            binding_type: match token.binding_type {
                BindingType::None | BindingType::Unspecified => "none",
                BindingType::ClientRequest => "client-request",
                BindingType::Certificate => "certificate",
                BindingType::Dpop => "dpop",
            },
            binding_ref: token.binding_ref.map(|reference| reference.encode()),
            reused: token.reused,
            superseded: token.superseded,
            revision: token.revision,
        }
    }
}
