//! The grants: each decides who a token speaks for.
//!
//! A further grant is one file here that implements [`Grant`], one arm in `transport::grpc::token` that makes it from its
//! message, and one in `transport::http::token` that makes the message from a form.

mod client_credentials;
mod jwt_bearer;
mod password;
mod refresh_token;
mod token_exchange;
mod user;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use secrecy::SecretString;
use tokenbind_index::{BindingValue, Locator, Revision, Subject};
use tokenbind_proto::v1::{Actor, GrantType};

pub use self::client_credentials::ClientCredentials;
pub use self::jwt_bearer::JwtBearer;
pub use self::password::Password;
pub use self::refresh_token::{RefreshToken, UsedRefreshToken};
pub use self::token_exchange::{ShownToken, TokenExchange};
use crate::application::Application;
use crate::context::Issuer;
use crate::error::IssuerError;

/// What a grant decided.
#[derive(Clone, Debug)]
pub struct Authorization {
    /// Who the token speaks for.
    pub subject: Subject,
    /// If set, no other scopes are granted.
    pub scopes: Option<BTreeSet<String>>,
    /// If set, the token is for no other audiences.
    pub audiences: Option<BTreeSet<String>>,
    /// What claims can be mapped from.
    pub attributes: BTreeMap<String, String>,
    /// The version of the user that was judged; a token is void if the user was changed before it was written.
    pub user_version: Option<Revision>,
    /// Who acts for the subject.
    pub act: Option<Actor>,
    /// If set, the token does not live on after this, in microseconds since 1970.
    pub ends_at_us: Option<u64>,
    /// If set, the token must be bound to this very value.
    pub bound_to: Option<BindingValue>,
    /// What it was granted on: a token is void if one of these died before it was written.
    pub depends_on: Vec<Dependency>,
    /// Whether it can be refreshed.
    pub login: Login,
}

/// Whether an authorization can be refreshed.
#[derive(Clone, Debug)]
pub enum Login {
    /// No: the application can ask again at any time (RFC 6749, section 4.4.3), or has to (RFC 7521, section 4.1).
    None,
    /// It begins here, if the application has refresh tokens.
    Begins,
    /// It goes on: a refresh token was used. The access token is bound as it is, and no wider.
    GoesOn(Box<UsedRefreshToken>),
}

impl Authorization {
    /// Bounded by nothing but the application's settings.
    pub fn of(subject: Subject) -> Self {
        Self {
            subject,
            scopes: None,
            audiences: None,
            attributes: BTreeMap::new(),
            user_version: None,
            act: None,
            ends_at_us: None,
            bound_to: None,
            depends_on: Vec::new(),
            login: Login::None,
        }
    }
}

/// A token of ours that a grant was decided on.
#[derive(Clone, Debug)]
pub struct Dependency {
    /// The token.
    pub token: SecretString,
    /// Where it is.
    pub locator: Locator,
    /// The field of the request that it came in.
    pub field: &'static str,
}

/// What may be granted at most.
struct Limits {
    scopes: BTreeSet<String>,
    audiences: BTreeSet<String>,
}

/// One request of one grant, with its own credentials.
#[async_trait]
pub trait Grant: Send + Sync {
    /// Which grant it is: the application must have it.
    fn grant_type(&self) -> GrantType;

    /// Checks the grant's own credentials.
    async fn authorize(&self, issuer: &Issuer, application: &Application) -> Result<Authorization, IssuerError>;
}

/// Every grant of this issuer.
pub const ALL: [GrantType; 5] = [
    GrantType::Password,
    GrantType::ClientCredentials,
    GrantType::RefreshToken,
    GrantType::TokenExchange,
    GrantType::JwtBearer,
];

/// The `grant_type` of OAuth.
pub fn identifier(grant: GrantType) -> &'static str {
    match grant {
        GrantType::TokenExchange => "urn:ietf:params:oauth:grant-type:token-exchange",
        GrantType::JwtBearer => "urn:ietf:params:oauth:grant-type:jwt-bearer",
        grant => name(grant),
    }
}

/// The grant with this `grant_type`.
pub fn named(identifier: &str) -> Option<GrantType> {
    ALL.into_iter().find(|grant| self::identifier(*grant) == identifier)
}

/// What a grant is called in logs and metrics.
pub fn name(grant: GrantType) -> &'static str {
    match grant {
        GrantType::Unspecified => "unspecified",
        GrantType::Password => "password",
        GrantType::ClientCredentials => "client_credentials",
        GrantType::RefreshToken => "refresh_token",
        GrantType::TokenExchange => "token_exchange",
        GrantType::JwtBearer => "jwt_bearer",
    }
}
