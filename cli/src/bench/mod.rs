//! `tokenbind bench`: the load generator. It starts what it measures in processes of their own, each on cores of its own,
//! and measures a bare tonic service with the same messages in turn, so that every figure is a ratio of one run.

mod args;
mod credentials;
mod echo;
mod fill;
mod load;
mod machine;
mod measure;
mod memory;
mod peer;
mod plots;
mod redis_server;
mod report;
mod revoke_deny;
mod run;
mod sample;
mod soak;
mod stack;
mod stream_load;
mod worker;
mod workload;

pub(crate) use args::BenchArgs;
pub(crate) use run::run;
pub(crate) use worker::run as run_worker;

use crate::error::CliError;

/// A failure of the benchmark itself.
fn failed(what: impl std::fmt::Display) -> CliError {
    CliError::Internal(format!("the benchmark does not run: {what}"))
}
