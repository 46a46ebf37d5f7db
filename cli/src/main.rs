//! `tokenbind`: the development stack, and a client of the issuer and the validator.

mod args;
mod bench;
mod client;
mod commands;
mod dev;
mod error;
mod input;
mod output;
mod view;
mod words;

use std::process::ExitCode;

use tokenbind_runtime::telemetry;
use tracing::Instrument as _;

use crate::args::{Cli, ClientCommand, Command};
use crate::error::{CliError, Exit};
use crate::output::Output;

/// As the services themselves have it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::from_process();
    let output = Output::new(cli.json);
    match Box::pin(run(cli, output)).await {
        Ok(exit) => exit.into(),
        Err(error) => output.fail(&error).into(),
    }
}

async fn run(cli: Cli, output: Output) -> Result<Exit, CliError> {
    let config = cli.command.telemetry()?;
    let telemetry = telemetry::init("tokenbind", &config).map_err(|error| CliError::usage(error.to_string()))?;
    let done = match cli.command {
        // Its calls come from others, with traces of their own.
        Command::Dev(arguments) => Box::pin(dev::run(*arguments, &config, &telemetry, output)).await,
        Command::Bench(arguments) => Box::pin(bench::run(*arguments, output)).await,
        Command::BenchWorker => bench::run_worker().await,
        Command::Client(command) => {
            let span = tracing::info_span!("tokenbind", command = command.name());
            dispatch(*command, output).instrument(span).await
        }
    };
    telemetry.shutdown().await;
    done
}

async fn dispatch(command: ClientCommand, output: Output) -> Result<Exit, CliError> {
    use ClientCommand::{App, Binding, Keys, Resource, Token, User, Validate};
    match command {
        Token(group) => commands::token::run(group.command, group.client.into_session(), output).await,
        Validate(single) => commands::validate::run(single.arguments, single.client.into_session(), output).await,
        Binding(group) => commands::binding::run(group.command, group.client.into_session(), output).await,
        App(group) => commands::app::run(group.command, group.client.into_session(), output).await,
        User(group) => commands::user::run(group.command, group.client.into_session(), output).await,
        Resource(group) => commands::resource::run(group.command, group.client.into_session(), output).await,
        Keys(group) => commands::keys::run(group.command, group.client.into_session(), output).await,
    }
}
