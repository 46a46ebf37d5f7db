//! Users who live elsewhere: behind `UserDirectoryService`, and in LDAP.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops where it fails"
)]

mod grpc;
mod ldap;
mod server;
mod slapd;
mod troubled;
