//! Errors as every service answers them: a status with `google.rpc` details and nothing internal.

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// The domain of every `ErrorInfo`.
pub const ERROR_DOMAIN: &str = "tokenbind";

/// How many violations the message of an error names.
const NAMED: usize = 5;

/// One field that is wrong, by its path in the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldViolation {
    /// As in the `.proto`, with indices: `scopes[2]`.
    pub field: String,
    /// What is wrong, and what would be right.
    pub description: String,
}

impl FieldViolation {
    /// A violation.
    pub fn new(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            description: description.into(),
        }
    }
}

/// A status whose `ErrorInfo` has this reason.
pub fn with_reason(code: Code, reason: &str, message: impl Into<String>) -> Status {
    Status::with_error_details(code, message, info(reason))
}

/// `INVALID_ARGUMENT` with a violation for each field.
pub fn invalid_argument(reason: &str, violations: Vec<FieldViolation>) -> Status {
    let message = summary(&violations);
    let mut details = info(reason);
    for violation in violations {
        details.add_bad_request_violation(violation.field, violation.description);
    }
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// A status that tells the caller when to try again.
pub fn retry_after(code: Code, reason: &str, message: impl Into<String>, after: Duration) -> Status {
    let mut details = info(reason);
    details.set_retry_info(Some(after));
    Status::with_error_details(code, message, details)
}

/// The first violations in words, for whoever does not look at the details.
fn summary(violations: &[FieldViolation]) -> String {
    let named = violations
        .iter()
        .take(NAMED)
        .map(|violation| format!("{}: {}", violation.field, violation.description));
    let mut summary = named.collect::<Vec<_>>().join("; ");
    if violations.len() > NAMED {
        summary += "; and more";
    }
    summary
}

fn info(reason: &str) -> ErrorDetails {
    let mut details = ErrorDetails::new();
    details.set_error_info(reason, ERROR_DOMAIN, std::collections::HashMap::new());
    details
}
