//! Revokes one token (RFC 7009).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokenbind_index::{RefreshToken, Revision, TokenReference};
use tokenbind_proto::index::v1::TokenRecord;

use crate::application::Application;
use crate::client::{self, PresentedClient};
use crate::context::Issuer;
use crate::error::IssuerError;
use crate::telemetry::{self, RevokedEvent};

impl Issuer {
    /// R1: revokes the token if it is live. One that is unknown, expired or superseded is fine (RFC 7009, section 2.2), and
    /// what stands in its slot meanwhile is not touched (R5).
    ///
    /// The answer is the instant from which on nobody finds the token live.
    ///
    /// # Errors
    /// [`IssuerError::InvalidClient`]; [`IssuerError::UnauthorizedClient`] for another application's token, which stays live
    /// (section 2.1); those of the store, after which the token may be revoked or not.
    pub async fn revoke_token(
        &self,
        client: Option<&PresentedClient>,
        token: &SecretString,
    ) -> Result<Revision, IssuerError> {
        let application = client::authenticate(self, client).await?;
        if let Some(token) = RefreshToken::decode(token.expose_secret()) {
            return self.revoke_refresh_token(&application, &token).await;
        }
        let Some(reference) = TokenReference::parse(token.expose_secret()) else {
            return Ok(self.store.ping().await?);
        };
        let locator = reference.locator;
        let record = self
            .store
            .read(&locator)
            .await?
            .filter(|record| record.digest == reference.digest.0);
        let Some(record) = record else {
            return self.store.settle(locator.home).await.map_err(telemetry::not_revoked);
        };
        check_own(&application, &record.client_id)?;
        let revoked = self
            .store
            .revoke_token(locator.home, locator.slot, &record)
            .await
            .map_err(telemetry::not_revoked)?;
        let client_id = &application.client_id;
        let subject = subject(&record, token.expose_secret());
        let event = RevokedEvent {
            by: "token",
            caller: client_id,
            client_id: Some(client_id),
            subject: subject.as_deref(),
            count: Some(revoked.count),
            revision: revoked.revision,
        };
        event.record();
        Ok(revoked.revision)
    }

    /// C24: ends the family, also by a refresh token of it that was used: whoever has one means the login.
    async fn revoke_refresh_token(
        &self,
        application: &Application,
        token: &RefreshToken,
    ) -> Result<Revision, IssuerError> {
        let record = self.store.read_family(&token.family).await?;
        // The key may be one that only other issuers have, or nobody any more: what is revoked then is the caller's own.
        let authentic = |key_id: &str| self.opaque_keys.derived(token) || !self.opaque_keys.has(key_id);
        let Some(record) = record.filter(|record| authentic(&record.opaque_key_id)) else {
            return self
                .store
                .settle(token.family.home)
                .await
                .map_err(telemetry::not_revoked);
        };
        check_own(application, &record.client_id)?;
        let ended = self
            .store
            .end_family(&token.family)
            .await
            .map_err(telemetry::not_revoked)?;
        let client_id = &application.client_id;
        let event = RevokedEvent {
            by: "refresh_token",
            caller: client_id,
            client_id: Some(client_id),
            subject: Some(&record.subject),
            count: Some(ended.count),
            revision: ended.revision,
        };
        event.record();
        Ok(ended.revision)
    }
}

fn check_own(application: &Application, client_id: &str) -> Result<(), IssuerError> {
    if client_id == application.client_id {
        return Ok(());
    }
    Err(IssuerError::UnauthorizedClient(
        "the token was issued to another application",
    ))
}

/// Whose token it was, for the trail. A JWT says so itself; the record has its digest, so it is one of ours.
fn subject(record: &TokenRecord, token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        sub: String,
    }
    if !record.subject.is_empty() {
        return Some(record.subject.clone());
    }
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Claims = serde_json::from_slice(&payload).ok()?;
    Some(claims.sub)
}
