//! `tokenbind`: the development stack, and a client of the issuer and the validator.

mod args;
mod client;
mod commands;
mod error;
mod input;
mod output;
mod view;
mod words;

use std::process::ExitCode;

use tokenbind_runtime::telemetry;
use tracing::Instrument as _;

use crate::args::{Cli, Command};
use crate::error::{CliError, Exit};
use crate::output::Output;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::from_process();
    let output = Output::new(cli.json);
    match run(cli, output).await {
        Ok(exit) => exit.into(),
        Err(error) => output.fail(&error).into(),
    }
}

async fn run(cli: Cli, output: Output) -> Result<Exit, CliError> {
    let name = cli.command.name();
    let config = cli.command.telemetry()?;
    let telemetry = telemetry::init("tokenbind", &config).map_err(|error| CliError::usage(error.to_string()))?;
    let done = dispatch(cli.command, output)
        .instrument(tracing::info_span!("tokenbind", command = name))
        .await;
    telemetry.shutdown().await;
    done
}

async fn dispatch(command: Command, output: Output) -> Result<Exit, CliError> {
    match command {
        Command::Token(group) => commands::token::run(group.command, group.client.into_session(), output).await,
        Command::Validate(group) => commands::validate::run(group.arguments, group.client.into_session(), output).await,
        Command::Binding(group) => commands::binding::run(group.command, group.client.into_session(), output).await,
        Command::App(group) => commands::app::run(group.command, group.client.into_session(), output).await,
        Command::User(group) => commands::user::run(group.command, group.client.into_session(), output).await,
        Command::Resource(group) => commands::resource::run(group.command, group.client.into_session(), output).await,
        Command::Keys(group) => commands::keys::run(group.command, group.client.into_session(), output).await,
    }
}
