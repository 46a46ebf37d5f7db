//! The resource owner's password (RFC 6749, section 4.3). RFC 9700 says that it must not be used for new systems, so an
//! application has to have it turned on.

use async_trait::async_trait;
use secrecy::SecretString;
use tokenbind_index::Subject;
use tokenbind_proto::v1::GrantType;

use super::{Authorization, Grant};
use crate::application::Application;
use crate::context::Issuer;
use crate::directory::Login;
use crate::error::IssuerError;
use crate::grant;
use crate::throttle::Peer;

/// A request of the grant.
#[derive(Clone, Debug)]
pub struct Password {
    /// Who.
    pub username: String,
    /// The proof.
    pub password: SecretString,
    /// From where.
    pub peer: Peer,
}

#[async_trait]
impl Grant for Password {
    fn grant_type(&self) -> GrantType {
        GrantType::Password
    }

    async fn authorize(&self, issuer: &Issuer, application: &Application) -> Result<Authorization, IssuerError> {
        let client_id = &application.client_id;
        // The place first: whoever waits before the throttle waits in it.
        let place = issuer.directory.place(issuer, client_id)?;
        let attempt = issuer.throttle.password(&self.username, client_id, self.peer).await?;
        let login = Login {
            username: self.username.clone(),
            password: self.password.clone(),
            client_id: client_id.clone(),
        };
        let Some(user) = issuer.directory.authenticate(issuer, place, &login).await? else {
            return Err(attempt.failed(IssuerError::InvalidGrant).await);
        };
        attempt.succeeded();
        Ok(Authorization {
            scopes: user.scopes,
            attributes: user.attributes,
            user_version: user.version,
            login: grant::Login::Begins,
            ..Authorization::of(Subject::User(user.username))
        })
    }
}
