//! The validator as a process of its own.

use std::fmt::Display;
use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};
use tokenbind_runtime::config::{ServerArgs, unknown_variables};
use tokenbind_validator::args::{DEFAULT_LISTEN_TEXT, ValidatorArgs};
use tokenbind_validator::run::{self, RunError};

/// Half of what an answer costs beyond the transport is allocating; this one is the fastest measured (docs/benchmarks).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The exit code for a wrong command line, as clap has it.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let command = ServerArgs::with_default_listen(ValidatorArgs::command(), DEFAULT_LISTEN_TEXT);
    let unknown = unknown_variables(&command, std::env::vars_os());
    let args = ValidatorArgs::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit());
    let mut config = match args.check() {
        Ok(config) => config,
        Err(violations) => return fail(USAGE, format_args!("the configuration is wrong:\n{violations}")),
    };
    config.telemetry.unknown_variables = unknown;
    // Calls are answered on threads of their own; this one accepts, listens to the index and watches.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, error),
    };
    match runtime.block_on(run::run(config)) {
        Ok(()) => ExitCode::SUCCESS,
        // The log has told it, unless there was none yet.
        Err(error @ RunError::Telemetry(_)) => fail(1, error),
        Err(_) => ExitCode::FAILURE,
    }
}

fn fail(code: u8, problem: impl Display) -> ExitCode {
    // Where nobody reads stderr, the exit code has to do.
    let _ = writeln!(std::io::stderr(), "validator: {problem}");
    ExitCode::from(code)
}
