//! The server as its callers see it, over real connections.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "this is how a test fails"
)]

mod abuse;
mod burden;
mod configuration;
mod health;
mod http;
mod limits;
mod metrics;
mod panics;
mod shutdown;
mod support;
mod tls;
mod tracing;
mod workers;
