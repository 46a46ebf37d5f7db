//! The grants: each decides who a token speaks for.
//!
//! A further grant is one file here that implements [`Grant`], and one arm in `transport::grpc::token` that makes it from
//! its message.

mod client_credentials;
mod password;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use tokenbind_index::{Revision, Subject};
use tokenbind_proto::v1::GrantType;

pub use self::client_credentials::ClientCredentials;
pub use self::password::Password;
use crate::application::Application;
use crate::context::Issuer;
use crate::error::IssuerError;

/// What a grant decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    /// Who the token speaks for.
    pub subject: Subject,
    /// If set, no other scopes are granted.
    pub scopes: Option<BTreeSet<String>>,
    /// What claims can be mapped from.
    pub attributes: BTreeMap<String, String>,
    /// The version of the user that was judged; a token is void if the user was changed before it was written.
    pub user_version: Option<Revision>,
}

/// One request of one grant, with its own credentials.
#[async_trait]
pub trait Grant: Send + Sync {
    /// Which grant it is: the application must have it.
    fn grant_type(&self) -> GrantType;

    /// Checks the grant's own credentials.
    async fn authorize(&self, issuer: &Issuer, application: &Application) -> Result<Authorization, IssuerError>;
}

/// The `grant_type` of OAuth: in logs and metrics.
pub fn name(grant: GrantType) -> &'static str {
    match grant {
        GrantType::Unspecified => "unspecified",
        GrantType::Password => "password",
        GrantType::ClientCredentials => "client_credentials",
    }
}
