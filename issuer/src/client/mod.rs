//! Proves who an application is (RFC 6749, section 2.3; RFC 7523, section 2.2).

mod assertion;
mod secret;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use secrecy::SecretString;
use tokenbind_runtime::tls::PeerCertificate;

pub use self::assertion::claimed_client_id;
use crate::application::Application;
use crate::context::Issuer;
use crate::error::IssuerError;
use crate::throttle::Peer;

/// The only `client_assertion_type`.
pub const JWT_BEARER_ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How an application can authenticate, as RFC 8414 names it. A workload's token is an assertion like any other, and has no name.
pub const AUTHENTICATION_METHODS: [&str; 4] = ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"];

/// One more, where the server asks for client certificates.
pub const CERTIFICATE_METHOD: &str = "tls_client_auth";

/// The credentials that an application presented, once, in one way.
#[derive(Clone, Debug)]
pub struct PresentedClient {
    /// Who it says it is.
    pub client_id: String,
    /// The proof.
    pub proof: Proof,
    /// From where.
    pub peer: Peer,
}

/// The one way in which an application proves who it is.
#[derive(Clone, Debug)]
pub enum Proof {
    /// None at all: good for public clients alone.
    None,
    /// A secret.
    Secret(SecretString),
    /// The certificate of its TLS connection (RFC 8705, section 2.1).
    Certificate(Arc<PeerCertificate>),
    /// A JWT: its own, or that of the workload that it is.
    Assertion(SecretString),
}

/// The application, if the credentials are good. The one place where that is decided.
///
/// # Errors
/// [`IssuerError::InvalidClient`], the same whatever was wrong (A17); [`IssuerError::TooManyAttempts`] (C12);
/// [`IssuerError::Unavailable`] when the keys of an assertion cannot be had; that of the store.
pub async fn authenticate(
    issuer: &Issuer,
    presented: Option<&PresentedClient>,
) -> Result<Arc<Application>, IssuerError> {
    let presented = presented.ok_or(IssuerError::InvalidClient)?;
    // A secret can be guessed; a signature cannot, and a name alone proves nothing.
    let Proof::Secret(_) = presented.proof else {
        return prove(issuer, presented).await;
    };
    let attempt = issuer.throttle.secret(&presented.client_id, presented.peer)?;
    match prove(issuer, presented).await {
        Ok(application) => {
            attempt.succeeded();
            Ok(application)
        }
        Err(IssuerError::InvalidClient) => Err(attempt.failed(IssuerError::InvalidClient).await),
        Err(error) => Err(error),
    }
}

async fn prove(issuer: &Issuer, presented: &PresentedClient) -> Result<Arc<Application>, IssuerError> {
    let client_id = &presented.client_id;
    if let Some(kept) = issuer.applications.kept(client_id)
        && presented.proof.proves_by_itself(issuer, Some(&kept))
    {
        return Ok(kept);
    }
    // What is refused is judged by what is stored now: a secret that was just made is good at once, and whether a name is known
    // here cannot be told from how long a refusal takes.
    let application = issuer.applications.read(client_id).await?;
    let enabled = application.filter(|application| !application.disabled);
    let proven = match &presented.proof {
        Proof::Assertion(assertion) => assertion::proves(issuer, enabled.as_deref(), assertion).await?,
        proof => proof.proves_by_itself(issuer, enabled.as_deref()),
    };
    let application = enabled.filter(|_| proven).ok_or(IssuerError::InvalidClient)?;
    issuer.applications.keep(client_id).await;
    Ok(application)
}

impl Proof {
    /// Whether it is enough together with what is known of the application. Never so for an assertion: its `jti` has to be used up,
    /// and that once.
    fn proves_by_itself(&self, issuer: &Issuer, application: Option<&Application>) -> bool {
        let enabled = application.filter(|application| !application.disabled);
        match self {
            Self::None => enabled.is_some_and(|it| it.authentication.public),
            Self::Certificate(certificate) => enabled.is_some_and(|it| {
                let name = it.authentication.certificate.as_ref();
                it.authentication.public || name.is_some_and(|name| certificate.is(name, issuer.clock.now_seconds()))
            }),
            Self::Secret(presented) => {
                let with_secret = enabled.filter(|it| it.authentication.secret);
                let secrets = with_secret.map_or(&[][..], |it| &it.secrets);
                secret::proves(presented, secrets, issuer.clock.now_seconds())
            }
            Self::Assertion(_) => false,
        }
    }
}
