//! The application's credentials: in the message (RFC 6749, section 2.3.1; RFC 7523, section 2.2), or `authorization: Basic`.

use secrecy::{ExposeSecret as _, SecretString};
use tokenbind_index::MAX_TOKEN_BYTES;
use tokenbind_runtime::credentials::{Credentials, CredentialsError};
use tokenbind_runtime::tls::PeerCertificate;
use tonic::Extensions;
use tonic::metadata::MetadataMap;

use super::checks;
use crate::client::{JWT_BEARER_ASSERTION, PresentedClient, Proof, claimed_client_id};
use crate::declared::client_id_problem;
use crate::error::{FieldViolations, IssuerError};
use crate::throttle::Peer;

/// What a message says of who asks.
pub(super) struct ClientFields {
    pub(super) id: String,
    pub(super) secret: SecretString,
    pub(super) assertion_type: String,
    pub(super) assertion: SecretString,
}

impl ClientFields {
    /// A message without any.
    pub(super) fn none() -> Self {
        Self {
            id: String::new(),
            secret: SecretString::default(),
            assertion_type: String::new(),
            assertion: SecretString::default(),
        }
    }

    fn check(&self, violations: &mut FieldViolations) {
        checks::optional_client_id(violations, "client_id", &self.id);
        checks::length(violations, "client_secret", self.secret.expose_secret(), 0, 255);
        let assertion = self.assertion.expose_secret();
        checks::length(violations, "client_assertion", assertion, 0, MAX_TOKEN_BYTES);
        checks::length(violations, "client_assertion_type", &self.assertion_type, 0, 255);
        if assertion.is_empty() != self.assertion_type.is_empty() {
            violations.push(
                "client_assertion_type",
                "must be set together with `client_assertion`, and only then",
            );
        }
    }

    /// In how many ways they prove something.
    fn proofs(&self) -> usize {
        let set = |field: &SecretString| usize::from(!field.expose_secret().is_empty());
        set(&self.secret) + set(&self.assertion)
    }
}

/// What the application presented, in one way or another; with two, a violation is recorded (C4). `None` is nobody.
///
/// # Errors
/// [`IssuerError::InvalidClient`] when `authorization` cannot be read, or the kind of assertion is not known (RFC 6749, section 5.2).
pub(super) fn presented_client(
    metadata: &MetadataMap,
    peer: Peer,
    extensions: &Extensions,
    fields: ClientFields,
    violations: &mut FieldViolations,
) -> Result<Option<PresentedClient>, IssuerError> {
    fields.check(violations);
    let credentials = Credentials::from_metadata(metadata);
    let credentials = credentials.map(|found| found.map(|found| found.or_certificate(extensions)));
    match credentials {
        Ok(None) => {
            check_proofs(fields.proofs(), violations);
            in_message(fields, peer, extensions)
        }
        Ok(Some(Credentials::Basic { id, secret })) => {
            checks::client_id(violations, "authorization", &id);
            checks::length(violations, "authorization", secret.expose_secret(), 0, 255);
            // The name alone authenticates nobody; another name would leave open who is meant.
            let named_again = fields.id.is_empty() || fields.id == id;
            check_proofs(fields.proofs() + 1 + usize::from(!named_again), violations);
            Ok(Some(PresentedClient {
                client_id: id,
                proof: Proof::Secret(secret),
                peer,
            }))
        }
        Ok(Some(Credentials::Certificate { id, certificate })) => {
            checks::client_id(violations, "authorization", &id);
            let named_again = fields.id.is_empty() || fields.id == id;
            check_proofs(fields.proofs() + 1 + usize::from(!named_again), violations);
            Ok(Some(PresentedClient {
                client_id: id,
                proof: Proof::Certificate(certificate),
                peer,
            }))
        }
        Err(error @ CredentialsError::Repeated) => {
            violations.push("authorization", error.to_string());
            Ok(None)
        }
        // RFC 6749, section 5.2: no authentication that is supported; whoever tries it in `authorization` is told so by a challenge.
        Ok(Some(Credentials::Bearer(_))) | Err(CredentialsError::Malformed) => Err(IssuerError::InvalidClient),
    }
}

fn in_message(
    fields: ClientFields,
    peer: Peer,
    extensions: &Extensions,
) -> Result<Option<PresentedClient>, IssuerError> {
    let has_assertion = !fields.assertion.expose_secret().is_empty();
    let known = matches!(fields.assertion_type.as_str(), "" | JWT_BEARER_ASSERTION);
    if has_assertion && !known {
        return Err(IssuerError::InvalidClient);
    }
    let named = Some(fields.id).filter(|id| !id.is_empty());
    let client_id = match named {
        // RFC 7521, section 4.2: the assertion says who it is from.
        None if has_assertion => claimed_client_id(&fields.assertion).filter(|id| client_id_problem(id).is_none()),
        named => named,
    };
    let proof = if has_assertion {
        Proof::Assertion(fields.assertion)
    } else if fields.secret.expose_secret().is_empty() {
        // Who comes with one may be an application that it proves, or a public one that is bound to it.
        PeerCertificate::of(extensions).map_or(Proof::None, Proof::Certificate)
    } else {
        Proof::Secret(fields.secret)
    };
    Ok(client_id.map(|client_id| PresentedClient { client_id, proof, peer }))
}

fn check_proofs(count: usize, violations: &mut FieldViolations) {
    if count > 1 {
        violations.push(
            "client_secret",
            "the application authenticates two ways at once: use one of `authorization`, `client_secret` and \
             `client_assertion`",
        );
    }
}
