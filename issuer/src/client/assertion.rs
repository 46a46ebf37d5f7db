//! A JWT as proof (RFC 7523, section 2.2): one that the application signed, or the token of the workload that it is.

use std::hint::black_box;
use std::sync::LazyLock;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokenbind_index::UseDigest;
use tokenbind_jose::{Algorithm, CompactJws, PublicKey};

use crate::application::{Application, ClientKeys};
use crate::context::Issuer;
use crate::error::IssuerError;
use crate::trust::{Assertion, Purpose, Refusal, claimed_subject};

/// How much longer than it is good a `jti` is remembered: for issuers whose clocks are behind.
pub(crate) const REMEMBER_LONGER_SECONDS: u64 = 60;

/// Verifies nothing that anybody signed: the base point of P-256, whose private key 1 nobody uses.
static NOBODYS_KEY: LazyLock<Option<PublicKey>> = LazyLock::new(|| {
    let jwk = r#"{"kty":"EC","crv":"P-256","alg":"ES256","x":"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY","y":"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"}"#;
    PublicKey::from_jwk(jwk, &[Algorithm::ES256]).ok()
});

/// The application that an assertion says it is from, unverified: an application that signs itself need not be named again.
pub fn claimed_client_id(assertion: &SecretString) -> Option<String> {
    claimed_subject(assertion.expose_secret())?.subject
}

/// Whether the assertion proves that it comes from this application.
pub(super) async fn proves(
    issuer: &Issuer,
    application: Option<&Application>,
    assertion: &SecretString,
) -> Result<bool, IssuerError> {
    let text = assertion.expose_secret();
    let claimed = claimed_subject(text).map(|claimed| claimed.issuer);
    let Some((application, claimed)) = application.zip(claimed) else {
        verify_in_vain(text);
        return Ok(false);
    };
    let authentication = &application.authentication;
    let judged = match (&authentication.keys, &authentication.workload) {
        (Some(keys), _) if claimed == application.client_id => own(issuer, application, keys, text).await,
        (_, Some((name, subject))) => workload(issuer, name, subject, text).await,
        _ => {
            verify_in_vain(text);
            Err(Refusal::Invalid("the application does not authenticate in this way"))
        }
    };
    match judged {
        Ok(None) => Ok(true),
        Ok(Some(single_use)) => Ok(issuer.use_up(&single_use, "client assertion").await?),
        Err(Refusal::Invalid(why)) => {
            tracing::debug!(client_id = application.client_id, why, "a client assertion is refused");
            Ok(false)
        }
        Err(Refusal::Unreachable(why)) => Err(IssuerError::Unavailable(why)),
    }
}

async fn own(
    issuer: &Issuer,
    application: &Application,
    keys: &ClientKeys,
    text: &str,
) -> Result<Option<Assertion>, Refusal> {
    let client_id = &application.client_id;
    let assertion = issuer
        .trust
        .now()
        .signed_by(client_id, keys, text, &issuer.issuer_url)
        .await?;
    if assertion.subject != *client_id {
        return Err(Refusal::Invalid("its `sub` is another one"));
    }
    Ok(Some(assertion))
}

/// A workload's token is made to be shown again until it ends, so it is not used up.
async fn workload(issuer: &Issuer, name: &str, subject: &str, text: &str) -> Result<Option<Assertion>, Refusal> {
    let trust = issuer.trust.now();
    let vouched = trust.vouched(text, &issuer.issuer_url, Purpose::Workload).await?;
    if vouched.trusted_issuer != name || vouched.assertion.subject != subject {
        return Err(Refusal::Invalid("it is of another workload"));
    }
    Ok(None)
}

impl Issuer {
    /// Uses up the `jti` of an assertion; `false` when that was done before (C72). Only after everything else was found good, so
    /// that nobody uses up what they cannot sign.
    pub(crate) async fn use_up(&self, assertion: &Assertion, purpose: &str) -> Result<bool, IssuerError> {
        let jti = assertion.jti.as_deref().unwrap_or_default();
        let left = assertion.expires_at.saturating_sub(self.clock.now_seconds());
        let remember = Duration::from_secs(left + REMEMBER_LONGER_SECONDS);
        let digest = UseDigest::of(purpose, &[&assertion.issuer, jti]);
        Ok(self.store.consume(digest, remember).await?)
    }
}

/// As much work as for an application that there is (A17).
fn verify_in_vain(text: &str) {
    if let (Some(jws), Some(key)) = (CompactJws::parse(text), NOBODYS_KEY.as_ref()) {
        black_box(jws.verify_anyway(key));
    }
}
