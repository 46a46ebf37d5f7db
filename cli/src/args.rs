//! The command line as a whole. What a command takes is said beside the command.

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use tokenbind_runtime::config::{TelemetryArgs, TelemetryConfig, Violations};

use crate::bench::BenchArgs;
use crate::client::ClientArgs;
use crate::commands;
use crate::dev::DevArgs;
use crate::error::CliError;

const EXIT_CODES: &str = "\
Exit codes:
  0   done; the answer is yes
  1   the answer is no: denied, inactive, not found, there already, in conflict
  2   the command line or what it sent is wrong
  3   not authenticated, or not permitted
  4   unavailable, overloaded, or not in time: try again
  70  an error inside a server, or inside this program";

/// Binds OAuth 2.0 access tokens to the application and the device that they were issued to.
///
/// Without a command it starts the development stack, like `tokenbind dev`.
#[derive(Debug, Parser)]
#[command(name = "tokenbind", version, after_help = EXIT_CODES, max_term_width = 110)]
struct RawCli {
    /// Prints one JSON document for scripts, instead of text for people
    #[arg(long, global = true, display_order = 900)]
    json: bool,

    #[command(subcommand)]
    command: Option<Command>,
}

/// What to do.
#[derive(Debug)]
pub(crate) struct Cli {
    /// JSON instead of tables.
    pub(crate) json: bool,
    /// Which command.
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Starts the development stack: issuer and validator in one process, with sample data
    Dev(Box<DevArgs>),

    /// Measures the services: throughput, latency, memory, and the time from a revocation to the denials
    Bench(Box<BenchArgs>),

    /// What `bench` starts
    #[command(hide = true)]
    BenchWorker,

    #[command(flatten)]
    Client(Box<ClientCommand>),
}

/// The commands that call a running issuer or validator.
#[derive(Debug, Subcommand)]
pub(crate) enum ClientCommand {
    /// Issues, revokes and looks into access tokens
    Token(Group<commands::token::TokenCommand>),
    /// Asks the validator to judge a token; exit code 0 means allowed, 1 denied
    Validate(Single<commands::validate::ValidateArgs>),
    /// Lists and revokes the bindings of a subject
    ///
    /// With an administrator's credentials in every application, with those of another application in that one alone.
    Binding(Group<commands::binding::BindingCommand>),
    /// Administers applications
    App(Group<commands::app::AppCommand>),
    /// Administers users
    User(Group<commands::user::UserCommand>),
    /// Administers resources
    Resource(Group<commands::resource::ResourceCommand>),
    /// Shows, rotates and makes keys
    Keys(Group<commands::keys::KeysCommand>),
}

/// A command with commands of its own.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Group<C: Subcommand> {
    #[command(subcommand)]
    pub(crate) command: C,

    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// A command that stands alone.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Single<A: Args> {
    #[command(flatten)]
    pub(crate) arguments: A,

    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// The development stack is quiet unless something is wrong: its output is for people who try it.
fn command() -> clap::Command {
    RawCli::command().mut_subcommand("dev", |dev| dev.mut_arg("log", |log| log.default_value("warn")))
}

impl Cli {
    /// Reads the command line of this process, and ends the process where that says no more than `--help`.
    pub(crate) fn from_process() -> Self {
        Self::parse(std::env::args_os().collect()).unwrap_or_else(|error| error.exit())
    }

    fn parse(mut arguments: Vec<std::ffi::OsString>) -> Result<Self, clap::Error> {
        let parse = |arguments: &[std::ffi::OsString]| -> Result<RawCli, clap::Error> {
            RawCli::from_arg_matches(&command().try_get_matches_from(arguments)?)
        };
        let raw = parse(&arguments)?;
        if let Some(command) = raw.command {
            return Ok(Self {
                json: raw.json,
                command,
            });
        }
        arguments.push("dev".into());
        let raw = parse(&arguments)?;
        let missing = || command().error(clap::error::ErrorKind::MissingSubcommand, "a command is required");
        Ok(Self {
            json: raw.json,
            command: raw.command.ok_or_else(missing)?,
        })
    }
}

impl Command {
    /// How it logs and traces.
    pub(crate) fn telemetry(&self) -> Result<TelemetryConfig, CliError> {
        let arguments = match self {
            Self::Dev(arguments) => arguments.telemetry.clone(),
            Self::Bench(_) => quiet("warn"),
            // As a service has it by default: what it logs is a part of what it costs.
            Self::BenchWorker => quiet("info"),
            Self::Client(command) => command.client().telemetry(),
        };
        let mut violations = Violations::new();
        let config = arguments.check(&mut violations);
        violations
            .finish(config)
            .map_err(|violations| CliError::usage(violations.to_string()))
    }
}

fn quiet(log: &str) -> TelemetryArgs {
    TelemetryArgs {
        log_format: "human".to_owned(),
        log: log.to_owned(),
        otlp_endpoint: None,
        metrics_listen: None,
        audit_all: false,
    }
}

impl ClientCommand {
    /// What it is called in a trace.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::Validate(_) => "validate",
            Self::Binding(_) => "binding",
            Self::App(_) => "app",
            Self::User(_) => "user",
            Self::Resource(_) => "resource",
            Self::Keys(_) => "keys",
        }
    }

    fn client(&self) -> &ClientArgs {
        match self {
            Self::Token(group) => &group.client,
            Self::Validate(group) => &group.client,
            Self::Binding(group) => &group.client,
            Self::App(group) => &group.client,
            Self::User(group) => &group.client,
            Self::Resource(group) => &group.client,
            Self::Keys(group) => &group.client,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        command().debug_assert();
    }
}
