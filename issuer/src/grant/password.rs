//! The resource owner's password (RFC 6749, section 4.3). RFC 9700 says that it must not be used for new systems, so an
//! application has to have it turned on.

use async_trait::async_trait;
use prost::Message as _;
use secrecy::SecretString;
use tokenbind_index::{DocumentKind, Revision, Subject};
use tokenbind_proto::index::v1::UserRecord;
use tokenbind_proto::v1::GrantType;

use super::{Authorization, Grant};
use crate::application::Application;
use crate::context::Issuer;
use crate::error::IssuerError;

/// A request of the grant.
#[derive(Clone, Debug)]
pub struct Password {
    /// Who.
    pub username: String,
    /// The proof.
    pub password: SecretString,
}

#[async_trait]
impl Grant for Password {
    fn grant_type(&self) -> GrantType {
        GrantType::Password
    }

    async fn authorize(&self, issuer: &Issuer, _: &Application) -> Result<Authorization, IssuerError> {
        let (record, version) = match self.user(issuer).await? {
            Some((record, version)) => (Some(record), version),
            None => (None, 0),
        };
        let known = record.filter(|record| record.user.as_ref().is_some_and(|user| !user.disabled));
        // A record without a hash is of a user who has no password (any more).
        let known = known.filter(|record| !record.password_hash.is_empty());
        // Nobody's password takes as long as somebody's (A17).
        let hash = known.as_ref().map(|record| record.password_hash.clone());
        let proven = issuer.passwords.verify(self.password.clone(), hash).await?;
        let user = known
            .filter(|_| proven)
            .and_then(|record| record.user)
            .ok_or(IssuerError::InvalidGrant)?;
        Ok(Authorization {
            subject: Subject::User(user.username),
            scopes: (!user.scopes.is_empty()).then(|| user.scopes.into_iter().collect()),
            attributes: user.attributes.into_iter().collect(),
            user_version: Some(version),
        })
    }
}

impl Password {
    async fn user(&self, issuer: &Issuer) -> Result<Option<(UserRecord, Revision)>, IssuerError> {
        let Some(document) = issuer.store.document(DocumentKind::User, &self.username).await? else {
            return Ok(None);
        };
        let record = UserRecord::decode(document.body.as_slice())
            .map_err(|error| IssuerError::Internal(format!("a user's record cannot be read: {error}")))?;
        Ok(Some((record, document.version)))
    }
}
