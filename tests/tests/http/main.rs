//! OAuth over HTTP, against real processes: the conformance lines, and what HTTP itself brings along.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test stops where it fails")]

mod bearer;
mod browsers;
mod fixture;
mod introspection;
mod jwts;
mod metadata;
mod revocation;
mod routes;
mod signed;
mod slow;
mod token;
mod transport;
