//! Token exchange (RFC 8693): who gets a token for whom, for what, and for how long.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test stops where it fails")]

mod binding;
mod confusion;
mod delegation;
mod race;
mod refusals;
mod results;
mod samples;
mod setting;
mod trust;
