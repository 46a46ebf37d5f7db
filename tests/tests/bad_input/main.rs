//! Bad input: each violation answers `INVALID_ARGUMENT` with the field's path, wrong credentials look alike, and the right
//! request still works afterwards.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

mod administration;
mod bindings;
mod credentials;
mod issuing;
mod metadata;
mod validating;

use tokenbind_tests::{fields, reason};
use tonic::{Code, Status};

/// A way to spoil a request, and the paths of the violations that it causes.
type Spoiled<T> = (&'static [&'static str], fn(&mut T));

/// Bad input in exactly these fields.
#[track_caller]
fn assert_violations(error: &Status, expected: &[&str]) {
    assert_eq!(error.code(), Code::InvalidArgument, "{expected:?}: {error:?}");
    assert!(!reason(error).is_empty());
    assert_eq!(fields(error), expected, "{error:?}");
}
