//! What an operator sees: reflection, health, limits, configuration, metrics and traces.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test stops where it fails")]

mod collector;
mod configuration;
mod health;
mod limits;
mod metrics;
mod reflection;
mod traces;
