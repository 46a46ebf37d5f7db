//! A refresh token for the next one and an access token (RFC 6749, section 6).

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use tokenbind_index::{ApplicationTag, FamilyLocator, Subject};
use tokenbind_proto::index::v1::RefreshFamilyRecord;
use tokenbind_proto::v1::GrantType;

use super::user::judge;
use super::{Authorization, Grant, Login};
use crate::application::Application;
use crate::context::Issuer;
use crate::error::IssuerError;
use crate::telemetry;

/// A request of the grant.
#[derive(Clone, Debug)]
pub struct RefreshToken {
    /// The token.
    pub token: SecretString,
}

/// A refresh token that is authentic and, when its family was read, live or within its grace.
#[derive(Clone, Debug, PartialEq)]
pub struct UsedRefreshToken {
    /// Its family.
    pub family: FamilyLocator,
    /// Which of the family's tokens it is.
    pub sequence: u32,
    /// The family when it was read.
    pub record: RefreshFamilyRecord,
}

#[async_trait]
impl Grant for RefreshToken {
    fn grant_type(&self) -> GrantType {
        GrantType::RefreshToken
    }

    /// Whatever is wrong with the token is answered alike, and no token but one that was used before is touched by it.
    async fn authorize(&self, issuer: &Issuer, application: &Application) -> Result<Authorization, IssuerError> {
        let shown = self.find(issuer, application).await?;
        let record = &shown.record;
        let subject = Subject::from_claim(&record.subject);
        let (scopes, attributes) = if record.built_in_user {
            // As of now: what was disabled, narrowed or changed since the login counts.
            let judged = judge(issuer, &subject).await?.filter(|user| user.version.is_some());
            let user = judged.ok_or(IssuerError::InvalidGrant)?;
            (user.scopes, user.attributes)
        } else {
            (None, record.attributes.clone().into_iter().collect())
        };
        Ok(Authorization {
            scopes,
            attributes,
            // Who stops a user ends the user's families, and without its family nothing is issued: no second look is needed, so
            // there is no `user_version`.
            login: Login::GoesOn(Box::new(shown)),
            ..Authorization::of(subject)
        })
    }
}

impl RefreshToken {
    async fn find(&self, issuer: &Issuer, application: &Application) -> Result<UsedRefreshToken, IssuerError> {
        let token = tokenbind_index::RefreshToken::decode(self.token.expose_secret())
            // C10: another application's token stays as it is.
            .filter(|token| token.family.position.application == ApplicationTag::of(&application.client_id))
            .ok_or(IssuerError::InvalidGrant)?;
        let keys = &issuer.opaque_keys;
        let derived = keys.derived(&token);
        if !derived && !keys.lacks_some() {
            return Err(IssuerError::InvalidGrant);
        }
        let record = issuer.store.read_family(&token.family).await?;
        if !derived {
            let elsewhere = record.is_some_and(|record| {
                let id = &record.opaque_key_id;
                !keys.has(id) && !keys.is_withdrawn(id)
            });
            return Err(if elsewhere {
                foreign_key()
            } else {
                IssuerError::InvalidGrant
            });
        }
        let record = record
            .filter(|record| record.client_id == application.client_id && record.sequence >= token.sequence)
            .ok_or(IssuerError::InvalidGrant)?;
        if token.sequence < record.sequence {
            let grace = application.refresh.map(|refresh| refresh.grace).unwrap_or_default();
            // Whatever else the request asks: a token that comes twice is in two hands.
            if let Some(ended) = issuer.store.end_reused(&token.family, token.sequence, grace).await? {
                telemetry::reused(&record.client_id, &record.subject, ended.count, ended.revision);
                return Err(IssuerError::InvalidGrant);
            }
        }
        Ok(UsedRefreshToken {
            family: token.family,
            sequence: token.sequence,
            record,
        })
    }
}

/// Another issuer, or this one when it has the file, can tell whether the token is good.
fn foreign_key() -> IssuerError {
    IssuerError::Unavailable(
        "the refresh token was derived with an opaque key that this issuer does not have".to_owned(),
    )
}
