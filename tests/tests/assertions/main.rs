//! JWTs as proof and as grant (RFC 7523): applications without a secret, and assertions of a trusted issuer.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test stops where it fails")]

mod forgeries;
mod grants;
mod private_key;
mod public;
mod setting;
mod workload;
