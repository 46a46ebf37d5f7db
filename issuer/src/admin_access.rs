//! Who may administer: the bearer of a live token with the scope and audience for it.

use secrecy::{ExposeSecret as _, SecretString};
use tokenbind_index::{BindingId, BindingValue, Subject, TokenReference};
use tokenbind_proto::index::v1::TokenRecord;
use tokenbind_proto::v1::BindingType;

use crate::application::Application;
use crate::context::Issuer;
use crate::error::IssuerError;

/// The scope that administers.
pub const ADMIN_SCOPE: &str = "tokenbind.admin";
/// The audience that means the issuer itself.
pub const ADMIN_AUDIENCE: &str = "tokenbind";

/// What an administrator's call came with.
#[derive(Clone, Debug, Default)]
pub struct PresentedToken {
    /// The token of `authorization: Bearer`.
    pub bearer: Option<SecretString>,
    /// For a token that is bound to one.
    pub binding_id: Option<BindingId>,
    /// SHA-256 of the client certificate of the connection, for a token that is bound to one.
    pub certificate_sha256: Option<[u8; 32]>,
}

/// Who administers, as far as the token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Administrator {
    /// The application whose token it is.
    pub client_id: String,
    /// Who the token speaks for.
    pub subject: Subject,
}

/// Judges administrators' tokens by the index.
#[derive(Clone)]
pub struct AdminAccess {
    issuer: Issuer,
}

impl AdminAccess {
    /// Judges by what the issuer knows.
    pub fn of(issuer: &Issuer) -> Self {
        Self { issuer: issuer.clone() }
    }

    /// Who the token lets administer.
    ///
    /// # Errors
    /// [`IssuerError::CredentialsMissing`], [`IssuerError::InvalidToken`], [`IssuerError::InsufficientScope`], or that of the
    /// store.
    pub async fn authorize(&self, presented: &PresentedToken) -> Result<Administrator, IssuerError> {
        let token = presented.bearer.as_ref().ok_or(IssuerError::CredentialsMissing)?;
        let reference = TokenReference::parse(token.expose_secret()).ok_or(IssuerError::InvalidToken)?;
        // The digest is of the whole token, so whoever presents it presents what the issuer once wrote there.
        let record = self.issuer.store.read(&reference.locator).await?;
        let record = reference
            .own_record(token.expose_secret(), record)
            .filter(|record| !self.issuer.is_of_withdrawn_key(token.expose_secret(), record))
            .ok_or(IssuerError::InvalidToken)?;
        self.check_application(&record).await?;
        self.check_binding(&record, presented)?;
        // Another audience is a resource that is shown the token, and could use it here.
        if record.audiences != [ADMIN_AUDIENCE] {
            return Err(IssuerError::InsufficientScope(
                "the token is not for the audience `tokenbind` alone",
            ));
        }
        if !record.scopes.iter().any(|scope| scope == ADMIN_SCOPE) {
            return Err(IssuerError::InsufficientScope(
                "the token lacks the scope `tokenbind.admin`",
            ));
        }
        Ok(Administrator {
            subject: Subject::from_claim(&record.subject),
            client_id: record.client_id,
        })
    }

    async fn check_application(&self, record: &TokenRecord) -> Result<(), IssuerError> {
        let application = Application::load(self.issuer.store.as_ref(), &record.client_id).await?;
        let good = application.is_some_and(|it| it.generation == record.generation && !it.disabled);
        if good { Ok(()) } else { Err(IssuerError::InvalidToken) }
    }

    /// A bound token administers only where its binding is presented, whatever the application enforces elsewhere.
    fn check_binding(&self, record: &TokenRecord, presented: &PresentedToken) -> Result<(), IssuerError> {
        match record.binding_type() {
            BindingType::None | BindingType::Unspecified if record.binding_ref.is_empty() => Ok(()),
            BindingType::ClientRequest => {
                let value = presented.binding_id.clone().map(BindingValue::ClientRequest);
                let reference = value.map(|value| value.reference(&self.issuer.namespace, &record.client_id));
                if reference.is_some_and(|reference| record.binding_ref == reference.0) {
                    return Ok(());
                }
                Err(IssuerError::InsufficientScope(
                    "the token is bound: its `token-binding-id` must come in the metadata",
                ))
            }
            BindingType::Certificate
                if presented
                    .certificate_sha256
                    .is_some_and(|sha256| record.certificate_sha256 == sha256) =>
            {
                Ok(())
            }
            _ => Err(IssuerError::InvalidToken),
        }
    }
}
