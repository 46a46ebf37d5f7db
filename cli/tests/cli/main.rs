//! The built program, against development stacks of the tests' own.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test stops where it fails")]

mod administering;
mod bench;
mod bindings;
mod dev;
mod errors;
mod offline;
mod story;
mod support;
mod tokens;
mod tracing;
