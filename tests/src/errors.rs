//! What an error says beside its code.

use std::time::Duration;

use tonic::Status;
use tonic_types::StatusExt as _;

/// `ErrorInfo.reason`; its domain is always ours.
pub fn reason(status: &Status) -> String {
    let info = status
        .get_details_error_info()
        .unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"));
    assert_eq!(info.domain, "tokenbind", "{status:?}");
    info.reason
}

/// The field paths of `BadRequest`, in order.
pub fn fields(status: &Status) -> Vec<String> {
    let violations = status
        .get_details_bad_request()
        .map_or_else(Vec::new, |bad| bad.field_violations);
    for violation in &violations {
        assert!(!violation.description.is_empty(), "{status:?}");
    }
    violations.into_iter().map(|violation| violation.field).collect()
}

/// `RetryInfo.retry_delay`.
pub fn retry_after(status: &Status) -> Option<Duration> {
    status.get_details_retry_info()?.retry_delay
}
