//! What operators look at: the list of metrics, alerts, the dashboard and the runbook say what is true.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test stops where it fails")]

mod alerts;
mod capacity;
mod counted;
mod dashboard;
mod documented;
mod exposed;
mod promql;
mod runbook;
