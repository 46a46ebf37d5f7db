//! Proves who an application is (RFC 6749, section 2.3.1).

use std::hint::black_box;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use tokenbind_index::SecretHash;
use tokenbind_proto::index::v1::SecretDigest;

use crate::application::Application;
use crate::context::Issuer;
use crate::error::IssuerError;
use crate::throttle::Peer;

/// What is compared where there is no application or no live secret: as much work, and no secret has this digest.
const NOBODYS_DIGEST: [u8; 32] = [0; 32];

/// The credentials that an application presented, once, in one way.
#[derive(Clone, Debug)]
pub struct PresentedClient {
    /// Who it says it is.
    pub client_id: String,
    /// The proof.
    pub secret: SecretString,
    /// From where.
    pub peer: Peer,
}

/// The application, if the credentials are good.
///
/// # Errors
/// [`IssuerError::InvalidClient`], the same whatever was wrong (A17); [`IssuerError::TooManyAttempts`] (C12); or that of the
/// store.
pub async fn authenticate(
    issuer: &Issuer,
    presented: Option<&PresentedClient>,
) -> Result<Arc<Application>, IssuerError> {
    let presented = presented.ok_or(IssuerError::InvalidClient)?;
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
    let now = issuer.clock.now_seconds();
    let good =
        |application: &Application| proves(&presented.secret, &application.secrets, now) && !application.disabled;
    if let Some(kept) = issuer.applications.kept(client_id)
        && good(&kept)
    {
        return Ok(kept);
    }
    // What is refused is judged by what is stored now: a secret that was just made is good at once, and whether a name is known
    // here cannot be told from how long a refusal takes.
    let application = issuer.applications.read(client_id).await?;
    let Some(application) = application else {
        proves(&presented.secret, &[], now);
        return Err(IssuerError::InvalidClient);
    };
    if !good(&application) {
        return Err(IssuerError::InvalidClient);
    }
    issuer.applications.keep(client_id).await;
    Ok(application)
}

/// Compares with every secret, live or not, so that the time tells nothing of which of them matched.
fn proves(presented: &SecretString, secrets: &[SecretDigest], now: u64) -> bool {
    let presented = SecretHash::of(presented.expose_secret());
    // The result is thrown away: nobody has this digest, so nothing may prove that somebody does.
    black_box(presented.matches(&NOBODYS_DIGEST));
    let mut proven = false;
    for secret in secrets {
        let live = secret.expires_at == 0 || u64::try_from(secret.expires_at).is_ok_and(|end| end > now);
        proven |= presented.matches(&secret.sha256) & live;
    }
    proven
}
