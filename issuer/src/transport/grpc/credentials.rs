//! The application's credentials: in the message, or `authorization: Basic` (RFC 6749, section 2.3.1).

use secrecy::{ExposeSecret as _, SecretString};
use tokenbind_runtime::credentials::{Credentials, CredentialsError};
use tonic::metadata::MetadataMap;

use super::checks;
use crate::client::PresentedClient;
use crate::error::{FieldViolations, IssuerError};
use crate::throttle::Peer;

/// What the application presented, in one way or the other; with both, a violation is recorded (C4). `None` is nobody.
///
/// # Errors
/// [`IssuerError::InvalidClient`] when `authorization` cannot be read (RFC 6749, section 5.2).
pub(super) fn presented_client(
    metadata: &MetadataMap,
    peer: Peer,
    client_id: String,
    client_secret: String,
    violations: &mut FieldViolations,
) -> Result<Option<PresentedClient>, IssuerError> {
    checks::optional_client_id(violations, "client_id", &client_id);
    checks::length(violations, "client_secret", &client_secret, 0, 255);
    let in_message = PresentedClient {
        client_id,
        secret: SecretString::from(client_secret),
        peer,
    };
    match Credentials::from_metadata(metadata) {
        Ok(None) => Ok((!in_message.client_id.is_empty()).then_some(in_message)),
        Ok(Some(Credentials::Basic { id, secret })) => {
            let basic = PresentedClient {
                client_id: id,
                secret,
                peer,
            };
            check_basic(&basic, &in_message, violations);
            Ok(Some(basic))
        }
        Ok(Some(Credentials::Bearer(_))) => {
            violations.push(
                "authorization",
                "must be `Basic` with the application's credentials, or absent",
            );
            Ok(None)
        }
        Err(error @ CredentialsError::Repeated) => {
            violations.push("authorization", error.to_string());
            Ok(None)
        }
        Err(CredentialsError::Malformed) => Err(IssuerError::InvalidClient),
    }
}

fn check_basic(basic: &PresentedClient, in_message: &PresentedClient, violations: &mut FieldViolations) {
    checks::client_id(violations, "authorization", &basic.client_id);
    checks::length(violations, "authorization", basic.secret.expose_secret(), 0, 255);
    // The name alone authenticates nobody; another name would leave open who is meant.
    let named_again = in_message.client_id.is_empty() || in_message.client_id == basic.client_id;
    if !in_message.secret.expose_secret().is_empty() || !named_again {
        violations.push(
            "client_secret",
            "the application authenticates two ways at once: use `authorization` or the message",
        );
    }
}
