//! The one place that turns errors into a status.

use std::time::Duration;

use prost::Message as _;
use tokenbind_index::IndexError;
use tokenbind_proto::v1::ElementError;
use tokenbind_runtime::status::{FieldViolation, invalid_argument, retry_after, with_reason};
use tonic::{Code, Status};

use super::place::Place;
use crate::caller::CallerError;
use crate::engine::Unavailable;
use crate::introspect::IntrospectError;
use crate::observe::caller_refused;

/// When it is worth asking again, if the index could not be asked.
const RETRY_AFTER: Duration = Duration::from_secs(1);

pub(super) fn caller(error: &CallerError) -> Status {
    about(error, Place::Whole)
}

/// The error of a question that stands at a place of the request.
pub(super) fn about(error: &CallerError, place: Place) -> Status {
    match error {
        CallerError::InvalidClient => {
            caller_refused();
            let message = "the caller must authenticate as a resource: `authorization: Basic` with its id and secret";
            with_reason(Code::Unauthenticated, "invalid_client", message)
        }
        CallerError::ForAnother => {
            let message = "`resource` must be empty or name the caller: a resource may ask for itself alone";
            with_reason(Code::PermissionDenied, "access_denied", message)
        }
        CallerError::UnknownResource => {
            let path = place.path("resource");
            fields(vec![FieldViolation::new(path, "there is no such resource")])
        }
        CallerError::Unavailable(error) => index(error),
    }
}

pub(super) fn unavailable(error: &Unavailable) -> Status {
    index(&error.0)
}

pub(super) fn introspection(error: IntrospectError) -> Status {
    match error {
        IntrospectError::Caller(error) => caller(&error),
        IntrospectError::Invalid(violations) => fields(violations),
        IntrospectError::Unavailable(error) => unavailable(&error),
    }
}

pub(super) fn fields(violations: Vec<FieldViolation>) -> Status {
    invalid_argument("invalid_request", violations)
}

/// A change would go unnoticed.
pub(super) fn unheard() -> Status {
    let message = "the index does not tell its changes at the moment; deny, and watch again later";
    retry_after(Code::Unavailable, "temporarily_unavailable", message, RETRY_AFTER)
}

pub(super) fn stopping() -> Status {
    let message = "the validator is stopping; ask another one";
    retry_after(Code::Unavailable, "temporarily_unavailable", message, RETRY_AFTER)
}

pub(super) fn too_many(what: &str) -> Status {
    let message = format!("the validator has as many {what} open as it may; ask another one");
    retry_after(Code::ResourceExhausted, "OVERLOADED", message, RETRY_AFTER)
}

/// An error in the place of an answer.
pub(super) fn element(error: &Status) -> ElementError {
    // The details of ours are a `google.rpc.Status`, which looks the same on the wire.
    let details = ElementError::decode(error.details()).map(|error| error.details);
    ElementError {
        code: error.code().into(),
        message: error.message().to_owned(),
        details: details.unwrap_or_default(),
    }
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
