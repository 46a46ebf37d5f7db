//! Who calls, from the metadata and the connection of a call.

use tokenbind_index::BindingId;
use tokenbind_runtime::credentials::{Credentials, CredentialsError};
use tokenbind_runtime::tls::PeerCertificate;
use tonic::{Request, Status};

use super::status::to_status;
use crate::admin_access::{AdminAccess, Administrator, PresentedToken};
use crate::error::IssuerError;
use crate::telemetry;

/// The metadata key of a binding id, where a message has no field for it.
pub const BINDING_ID_KEY: &str = "token-binding-id";

/// Lets an administrator through.
///
/// # Errors
/// The status to answer to anybody else.
pub async fn require_admin<T: Sync>(access: &AdminAccess, request: &Request<T>) -> Result<Administrator, Status> {
    let presented = presented_token(request).map_err(to_status)?;
    let administrator = access.authorize(&presented).await;
    administrator.map_err(|error| {
        telemetry::administration_refused(&error);
        to_status(error)
    })
}

/// The token, and the proof of its binding, that a call came with.
pub fn presented_token<T>(request: &Request<T>) -> Result<PresentedToken, IssuerError> {
    let bearer = match Credentials::from_metadata(request.metadata()) {
        Ok(Some(Credentials::Bearer(token))) => Some(token),
        Ok(Some(Credentials::Basic { .. } | Credentials::Certificate { .. }) | None) => None,
        Err(CredentialsError::Malformed) => return Err(IssuerError::InvalidToken),
        Err(error @ CredentialsError::Repeated) => {
            return Err(IssuerError::invalid_field("authorization", error.to_string()));
        }
    };
    Ok(PresentedToken {
        bearer,
        binding_id: binding_id(request)?,
        certificate_sha256: certificate_sha256(request),
    })
}

/// SHA-256 of the client certificate (DER) of the connection, which TLS has verified (RFC 8705, section 3).
pub fn certificate_sha256<T>(request: &Request<T>) -> Option<[u8; 32]> {
    PeerCertificate::of(request.extensions()).map(|certificate| certificate.sha256)
}

fn binding_id<T>(request: &Request<T>) -> Result<Option<BindingId>, IssuerError> {
    let invalid = |problem: String| IssuerError::invalid_field(BINDING_ID_KEY, problem);
    let mut values = request.metadata().get_all(BINDING_ID_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(invalid("must not be repeated".to_owned()));
    }
    let text = std::str::from_utf8(value.as_bytes()).map_err(|_| invalid("must be UTF-8".to_owned()))?;
    BindingId::parse(text).map_err(|error| invalid(error.to_string()))
}
