//! The issuer's services over a real server and client.

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

mod mtls;
mod services;
mod support;
