//! Introspection (RFC 7662): what a resource may know of a token, whichever way it asks.

use std::sync::Arc;

use thiserror::Error;
use tokenbind_index::MAX_TOKEN_BYTES;
use tokenbind_proto::v1::IntrospectTokenRequest;
use tokenbind_runtime::credentials::{Credentials, CredentialsError};
use tokenbind_runtime::status::FieldViolation;

use crate::caller::{CallerError, Callers};
use crate::engine::{Unavailable, Validator};
use crate::facts::KnownToken;
use crate::question::Presented;
use crate::resource::Resource;

const MAX_HINT_BYTES: usize = 64;

/// Why a caller is told nothing.
#[derive(Debug, Error)]
pub(crate) enum IntrospectError {
    /// Who asks is not known.
    #[error(transparent)]
    Caller(#[from] CallerError),
    /// The request is wrong in itself.
    #[error("invalid_request")]
    Invalid(Vec<FieldViolation>),
    /// The index cannot be asked.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// What is told: to whom, and of which token; `None` is one that is not live, or not for this caller.
#[derive(Debug)]
pub(crate) struct Introspected {
    /// Who asked.
    pub(crate) caller: Arc<Resource>,
    /// The token, if it is active for the caller.
    pub(crate) token: Option<Arc<KnownToken>>,
}

/// Looks a token up for an authenticated resource.
pub(crate) async fn introspect(
    validator: &Validator,
    callers: &Callers,
    credentials: Result<Option<Credentials>, CredentialsError>,
    request: &IntrospectTokenRequest,
) -> Result<Introspected, IntrospectError> {
    let credentials = credentials.map_err(|_| CallerError::InvalidClient)?;
    let caller = callers.authenticate(credentials.as_ref()).await?;
    check(request)?;
    let token = validator.introspect(Presented(&request.token), &caller).await?;
    Ok(Introspected { caller, token })
}

fn check(request: &IntrospectTokenRequest) -> Result<(), IntrospectError> {
    let mut violations = Vec::new();
    let mut push = |field: &str, problem: String| violations.push(FieldViolation::new(field, problem));
    // RFC 7662, section 2.1: without a token there is no request.
    if request.token.is_empty() {
        push("token", format!("is required, 1 to {MAX_TOKEN_BYTES} bytes"));
    } else if request.token.len() > MAX_TOKEN_BYTES {
        push("token", format!("must be 1 to {MAX_TOKEN_BYTES} bytes"));
    }
    if request.token_type_hint.len() > MAX_HINT_BYTES {
        push("token_type_hint", format!("must be at most {MAX_HINT_BYTES} bytes"));
    }
    if violations.is_empty() {
        Ok(())
    } else {
        Err(IntrospectError::Invalid(violations))
    }
}
