//! Errors as every service answers them: a status with `google.rpc` details and nothing internal.

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// The domain of every `ErrorInfo`.
pub const ERROR_DOMAIN: &str = "tokenbind";

/// How many violations the message of an error names.
const NAMED: usize = 5;
/// How much the details of an error say of violations, in bytes. They travel as base64 in a header, and clients take headers
/// of 8 KiB: with more, they would tell their user that something is too large instead of what is wrong.
const MAX_DETAILS_BYTES: usize = 3_072;
/// The same for the message, which grows when it is escaped.
const MAX_SUMMARY_BYTES: usize = 1_024;

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

/// `INVALID_ARGUMENT` with a violation for each field, as many as an answer can hold.
pub fn invalid_argument(reason: &str, violations: Vec<FieldViolation>) -> Status {
    let message = summary(&violations);
    let mut details = info(reason);
    let told = fitting(&violations, MAX_DETAILS_BYTES);
    for violation in violations.into_iter().take(told) {
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
    let told = fitting(violations, MAX_SUMMARY_BYTES).min(NAMED);
    let named = violations
        .iter()
        .take(told)
        .map(|violation| format!("{}: {}", violation.field, violation.description));
    let mut summary = named.collect::<Vec<_>>().join("; ");
    if violations.len() > told {
        summary += "; and more";
    }
    summary
}

/// How many of the first violations have room; the first always does.
fn fitting(violations: &[FieldViolation], room: usize) -> usize {
    let mut used = 0;
    let fits = |violation: &&FieldViolation| {
        used += violation.field.len() + violation.description.len();
        used <= room
    };
    violations.iter().take_while(fits).count().max(1)
}

fn info(reason: &str) -> ErrorDetails {
    let mut details = ErrorDetails::new();
    details.set_error_info(reason, ERROR_DOMAIN, std::collections::HashMap::new());
    details
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_all_over_still_fits_into_the_headers_that_clients_take() {
        for (count, length) in [(1, 80), (64, 60), (64, 340), (1_000, 60)] {
            let violation = |index| FieldViolation::new(format!("scopes[{index}]"), "`x` ".repeat(length / 4));
            let status = invalid_argument("invalid_scope", (0..count).map(violation).collect());
            let told = status.get_error_details().bad_request().unwrap().field_violations.len();
            assert!(told > 0 && (told == count || count > 1), "{told} of {count}");
            let headers = status.into_http::<()>().into_parts().0.headers;
            let bytes: usize = headers
                .iter()
                .map(|(name, value)| name.as_str().len() + value.len() + 32)
                .sum();
            assert!(bytes <= 8_192, "{count} of {length} bytes: {bytes}");
        }
    }
}
