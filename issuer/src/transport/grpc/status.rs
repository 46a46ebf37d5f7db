//! The one map from an error of a use case to a gRPC status. Nothing internal passes it.

use std::time::Duration;

use tokenbind_runtime::status::{FieldViolation, invalid_argument, retry_after, with_reason};
use tonic::{Code, Status};

use crate::error::IssuerError;

/// When a caller may try again where nothing better is known.
const RETRY: Duration = Duration::from_millis(500);

/// R6: an error, though it may be so.
const UNCONFIRMED: &str = "the revocation may be done, but is not confirmed: repeat it until it is, which does no harm";

/// The status of an error. What the error keeps for the log goes there, and nowhere else.
pub fn to_status(error: IssuerError) -> Status {
    let reason = error.reason();
    let plain = |code, message: String| with_reason(code, reason, message);
    match error {
        IssuerError::Invalid { violations, .. } => {
            let violations = violations
                .into_iter()
                .map(|v| FieldViolation::new(v.field, v.description));
            invalid_argument(reason, violations.collect())
        }
        IssuerError::InvalidClient => plain(Code::Unauthenticated, "client authentication failed".to_owned()),
        IssuerError::InvalidGrant => plain(
            Code::Unauthenticated,
            "the grant's credentials are not valid".to_owned(),
        ),
        IssuerError::CredentialsMissing => plain(
            Code::Unauthenticated,
            "needs `authorization: Bearer` with an administrator's token".to_owned(),
        ),
        IssuerError::InvalidToken => plain(Code::Unauthenticated, "the token is not valid".to_owned()),
        IssuerError::UnauthorizedClient(why) | IssuerError::InsufficientScope(why) => {
            plain(Code::PermissionDenied, why.to_owned())
        }
        IssuerError::NotFound(what) => plain(Code::NotFound, format!("there is no such {what}")),
        IssuerError::AlreadyExists(what) => plain(Code::AlreadyExists, format!("the {what} exists already")),
        IssuerError::DeclaredInCatalog(what) => plain(
            Code::FailedPrecondition,
            format!("the {what} is declared in the catalog file: change it there"),
        ),
        IssuerError::Conflict(what) => plain(
            Code::Aborted,
            format!("the {what} was changed meanwhile: read it and try again"),
        ),
        IssuerError::OnlyOne(what) => plain(
            Code::FailedPrecondition,
            format!("the issuer has no other {what} to use in its place: give it one first"),
        ),
        IssuerError::BindingLimitReached => plain(
            Code::FailedPrecondition,
            "the subject has as many live bindings as the application allows".to_owned(),
        ),
        // Over HTTP this is 429 with `Retry-After`.
        IssuerError::TooManyAttempts { retry_after: wait } => retry_after(
            Code::ResourceExhausted,
            reason,
            "too many wrong secrets or passwords: try again after the wait",
            wait,
        ),
        IssuerError::Overloaded => retry_after(
            Code::ResourceExhausted,
            reason,
            "too much is being asked at once",
            RETRY,
        ),
        IssuerError::Unavailable(detail) => {
            tracing::warn!(detail, "a request could not be answered");
            retry_after(Code::Unavailable, reason, "temporarily unavailable", RETRY)
        }
        IssuerError::Unconfirmed(detail) => {
            tracing::warn!(detail, "a revocation is not confirmed");
            retry_after(Code::Unavailable, reason, UNCONFIRMED, RETRY)
        }
        error @ IssuerError::KeysWithdrawn(_) => {
            tracing::warn!(detail = %error, "a request could not be answered");
            retry_after(Code::Unavailable, reason, "temporarily unavailable", RETRY)
        }
        IssuerError::Internal(detail) => {
            tracing::error!(detail, "a request failed");
            plain(Code::Internal, "internal error".to_owned())
        }
    }
}
