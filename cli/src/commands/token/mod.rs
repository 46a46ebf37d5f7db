//! `tokenbind token`.

mod grant;
mod inspect;
mod issue;
mod revoke;

use clap::Subcommand;

use crate::client::Session;
use crate::error::{CliError, Exit};
use crate::output::Output;

/// What to do with a token.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Asks for an access token: for a user with `--username`, otherwise for the application itself
    Issue(issue::IssueArgs),
    /// Revokes a token of the application; fine also where it is dead already
    Revoke(revoke::RevokeArgs),
    /// Shows what a token says of itself, without verifying it
    Inspect(inspect::InspectArgs),
}

pub(crate) async fn run(command: TokenCommand, session: Session, output: Output) -> Result<Exit, CliError> {
    match command {
        TokenCommand::Issue(arguments) => issue::run(arguments, session, output).await,
        TokenCommand::Revoke(arguments) => revoke::run(arguments, session, output).await,
        TokenCommand::Inspect(arguments) => inspect::run(arguments, session, output).await,
    }
}
