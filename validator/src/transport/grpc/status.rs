//! The one place that turns errors into a status.

use std::time::Duration;

use tokenbind_index::IndexError;
use tokenbind_runtime::status::{FieldViolation, invalid_argument, retry_after, with_reason};
use tonic::{Code, Status};

use crate::caller::CallerError;
use crate::engine::Unavailable;

/// When it is worth asking again, if the index could not be asked.
const RETRY_AFTER: Duration = Duration::from_secs(1);

pub(super) fn caller(error: &CallerError) -> Status {
    about(error, None)
}

/// The error of a call, or of one element of its batch.
pub(super) fn about(error: &CallerError, element: Option<usize>) -> Status {
    match error {
        CallerError::InvalidClient => {
            let message = "the caller must authenticate as a resource: `authorization: Basic` with its id and secret";
            with_reason(Code::Unauthenticated, "invalid_client", message)
        }
        CallerError::ForAnother => {
            let message = "`resource` must be empty or name the caller: a resource may ask for itself alone";
            with_reason(Code::PermissionDenied, "access_denied", message)
        }
        CallerError::UnknownResource => {
            let path = element.map_or_else(|| "resource".to_owned(), |index| format!("requests[{index}].resource"));
            fields(vec![FieldViolation::new(path, "there is no such resource")])
        }
        CallerError::Unavailable(error) => index(error),
    }
}

pub(super) fn unavailable(error: &Unavailable) -> Status {
    index(&error.0)
}

pub(super) fn fields(violations: Vec<FieldViolation>) -> Status {
    invalid_argument("invalid_request", violations)
}

/// Whatever is wrong with the index, no verdict can be given; what it is stays in the log.
fn index(error: &IndexError) -> Status {
    if matches!(error, IndexError::Unavailable(_)) {
        // Health tells once that the index is gone, and once that it is back; every call would drown the log.
        tracing::debug!(%error, "a question cannot be answered");
    } else {
        tracing::warn!(%error, "a question cannot be answered");
    }
    let message = "the index cannot be asked; deny, and ask again later";
    retry_after(Code::Unavailable, "temporarily_unavailable", message, RETRY_AFTER)
}
