//! Clients that somebody else wrote, unmodified, against processes of ours: OAuth libraries, resource servers that verify our
//! JWTs from the issuer's metadata alone, Envoy, and a fuzzer that knows the `OpenAPI` documents.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test stops where it fails")]

mod documentation;
mod envoy;
mod fuzzer;
mod keys;
mod libraries;
mod scripts;
mod setting;
