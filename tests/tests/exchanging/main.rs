//! Token exchange (RFC 8693): who gets a token for whom, for what, and for how long.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

mod binding;
mod confusion;
mod delegation;
mod refusals;
mod results;
mod samples;
mod setting;
mod trust;
