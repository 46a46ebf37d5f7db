//! Issues a token into its slot.

mod dependencies;
mod granted;
mod inherited;
mod lifetime;
mod login;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use self::lifetime::leaves_time;
pub use self::login::IssuedRefreshToken;
use self::login::Turn;

use std::collections::BTreeSet;
use std::sync::Arc;

use secrecy::SecretString;
use tokenbind_index::{BindingId, BindingRef, DocumentKind, Revision, UNTRUSTED};
use tokenbind_proto::v1::{BindingType, GrantType};

use crate::application::Application;
use crate::client::{self, PresentedClient};
use crate::context::Issuer;
use crate::error::IssuerError;
use crate::grant::Grant;
use crate::telemetry::{self, IssuedEvent};

/// How often the application is read again, when the store has a token of a later generation than the application that was
/// read: once is enough unless somebody revokes the application again and again.
const ATTEMPTS: usize = 3;

/// What is asked.
pub struct IssueRequest {
    /// Who asks.
    pub client: Option<PresentedClient>,
    /// How.
    pub grant: Box<dyn Grant>,
    /// In the order of the request; empty asks for the defaults.
    pub scopes: Vec<String>,
    /// In the order of the request; empty asks for the defaults.
    pub audiences: Vec<String>,
    /// The device, if one is named.
    pub binding_id: Option<BindingId>,
    /// SHA-256 of the certificate (DER) with which the application's connection was made.
    pub certificate_sha256: Option<[u8; 32]>,
}

/// A token and what it is good for.
#[derive(Debug)]
pub struct IssuedToken {
    /// The token.
    pub access_token: SecretString,
    /// Seconds that it still lives; at least 1.
    pub expires_in: u32,
    /// What was granted.
    pub scopes: BTreeSet<String>,
    /// What it is bound to.
    pub binding_type: BindingType,
    /// The digest of what it is bound to.
    pub binding_ref: Option<BindingRef>,
    /// It is the token that was in the slot.
    pub reused: bool,
    /// A live token of the slot died.
    pub superseded: bool,
    /// When its record was written.
    pub revision: Revision,
    /// For the next one.
    pub refresh_token: Option<IssuedRefreshToken>,
}

impl Issuer {
    /// Issues a token: authenticates the application (RFC 6749, section 3.2.1), has the grant decide who the token speaks for,
    /// and puts it in its slot (S1–S12).
    ///
    /// # Errors
    /// Whatever [`IssuerError`] says of requests for tokens. After each, the token that was in the slot is still live.
    pub async fn issue_token(&self, request: IssueRequest) -> Result<IssuedToken, IssuerError> {
        let mut proven = false;
        let outcome = self.try_issue(&request, &mut proven).await;
        if let Err(error) = &outcome {
            telemetry::refused(self.known_name(&request, proven, error).await, error);
        }
        outcome
    }

    /// The name of the application that asked, where there is one of this name.
    async fn known_name<'a>(&self, request: &'a IssueRequest, proven: bool, error: &IssuerError) -> Option<&'a str> {
        let client_id = request.client.as_ref().map(|client| client.client_id.as_str())?;
        if proven {
            return Some(client_id);
        }
        // Whoever is held up must not cost a read each time.
        if *error != IssuerError::InvalidClient {
            return None;
        }
        let stored = self.store.document(DocumentKind::Application, client_id).await;
        matches!(stored, Ok(Some(_))).then_some(client_id)
    }

    /// `proven` tells whether the application has proven who it is.
    async fn try_issue(&self, request: &IssueRequest, proven: &mut bool) -> Result<IssuedToken, IssuerError> {
        // Nothing that it decides would hold elsewhere.
        if !self.clock.is_trusted() {
            return Err(IssuerError::Unavailable(UNTRUSTED.to_owned()));
        }
        let mut application = client::authenticate(self, request.client.as_ref()).await?;
        *proven = true;
        let grant = request.grant.grant_type();
        check_grant(&application, grant)?;
        let authorization = request.grant.authorize(self, &application).await?;
        let mut turn = Turn::of(&application, &authorization)?;
        for _ in 0..ATTEMPTS {
            let token = granted::decide(self, &application, &authorization, request)?;
            if let Some(mut written) = self.write(&application, &token, &mut turn).await? {
                let user = authorization.user_version;
                self.confirm_user(&token, &written, turn.held(), user).await?;
                self.confirm_dependencies(&token, &written, &authorization.depends_on)
                    .await?;
                written.issued.refresh_token = turn.held().map(|held| self.refresh_token(held)).transpose()?;
                record(&application, &token, grant, &written.issued);
                return Ok(written.issued);
            }
            application = self.reload(&application.client_id, grant).await?;
        }
        Err(IssuerError::Unavailable(
            "the application's generation keeps changing".to_owned(),
        ))
    }

    /// The application as it is now: what was proven about the client holds, what it may have can have changed.
    async fn reload(&self, client_id: &str, grant: GrantType) -> Result<Arc<Application>, IssuerError> {
        self.applications.forget(client_id);
        let application = self.applications.read(client_id).await?;
        let application = application
            .filter(|application| !application.disabled)
            .ok_or(IssuerError::InvalidClient)?;
        check_grant(&application, grant)?;
        Ok(application)
    }
}

fn record(application: &Application, token: &granted::Token, grant: GrantType, issued: &IssuedToken) {
    let outcome = match (issued.reused, issued.superseded) {
        (true, _) => "reused",
        (false, true) => "superseded",
        (false, false) => "new",
    };
    let event = IssuedEvent {
        client_id: &application.client_id,
        subject: &token.subject,
        grant,
        format: application.format,
        binding_ref: issued.binding_ref,
        outcome,
        revision: issued.revision,
    };
    event.record();
}

fn check_grant(application: &Application, grant: GrantType) -> Result<(), IssuerError> {
    if application.grants.contains(&grant) {
        return Ok(());
    }
    Err(IssuerError::UnauthorizedClient(
        "the application does not have this grant",
    ))
}
