//! An assertion of a trusted issuer as authorization grant (RFC 7523, section 2.1).

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use tokenbind_index::Subject;
use tokenbind_proto::v1::GrantType;

use super::{Authorization, Grant};
use crate::application::Application;
use crate::context::Issuer;
use crate::error::IssuerError;
use crate::issue::leaves_time;
use crate::trust::{PartyRef, Purpose, Refusal};

/// A request of the grant.
#[derive(Clone, Debug)]
pub struct JwtBearer {
    /// A JWT.
    pub assertion: SecretString,
}

#[async_trait]
impl Grant for JwtBearer {
    fn grant_type(&self) -> GrantType {
        GrantType::JwtBearer
    }

    async fn authorize(&self, issuer: &Issuer, application: &Application) -> Result<Authorization, IssuerError> {
        let text = self.assertion.expose_secret();
        let trust = issuer.trust.now();
        let vouched = trust.vouched(text, &issuer.issuer_url, Purpose::Grant).await;
        let vouched = vouched.map_err(|refusal| match refusal {
            Refusal::Invalid(why) => refused(application, why),
            Refusal::Unreachable(why) => IssuerError::Unavailable(why),
        })?;
        let party = PartyRef::External {
            trusted_issuer: vouched.trusted_issuer,
            subject: &vouched.assertion.subject,
        };
        let policy = trust.policy(GrantType::JwtBearer, &application.client_id, party, None);
        let policy = policy.ok_or_else(|| refused(application, "no policy allows it"))?;
        // RFC 7521, section 4.1: not much longer than the assertion, so not longer at all.
        let ends_at_us = vouched.assertion.expires_at.saturating_mul(1_000_000);
        if !leaves_time(ends_at_us, issuer.clock.now_us()) {
            return Err(refused(application, "it has less than a second left"));
        }
        if !issuer.use_up(&vouched.assertion, "authorization grant").await? {
            return Err(refused(application, "it was used before"));
        }
        Ok(Authorization {
            scopes: Some(policy.scopes.iter().cloned().collect()),
            audiences: Some(policy.audiences.iter().cloned().collect()),
            ends_at_us: Some(ends_at_us),
            ..Authorization::of(Subject::external(vouched.trusted_issuer, &vouched.assertion.subject))
        })
    }
}

/// C70.
fn refused(application: &Application, why: &'static str) -> IssuerError {
    tracing::debug!(client_id = application.client_id, why, "an assertion is refused");
    IssuerError::InvalidGrant
}
