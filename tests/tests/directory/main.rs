//! Users who live elsewhere: behind `UserDirectoryService`, and in LDAP.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

mod grpc;
mod ldap;
mod server;
mod slapd;
mod troubled;
