//! `tokenbind app`.

pub(crate) mod authentication;
mod manage;
mod secrets;
mod settings;

use clap::Subcommand;

use crate::client::Session;
use crate::error::{CliError, Exit};
use crate::output::Output;

/// What to do with applications.
#[derive(Debug, Subcommand)]
pub(crate) enum AppCommand {
    /// Creates an application and shows its secret, this once
    Create(manage::CreateArgs),
    /// Shows an application
    Get(manage::NameArgs),
    /// Lists all applications
    List,
    /// Changes what is given and leaves the rest, for tokens issued from then on; `--disabled` also stops the live ones
    Update(manage::UpdateArgs),
    /// Deletes an application; every token that was issued to it dies
    Delete(manage::NameArgs),
    /// Revokes every token that was ever issued to an application, at once
    RevokeTokens(manage::NameArgs),
    /// Generates a further secret and shows it, this once; the ones before end after the overlap
    RotateSecret(secrets::RotateArgs),
    /// Generates a secret and its digest for a catalog file; asks no server
    Secret,
}

pub(crate) async fn run(command: AppCommand, session: Session, output: Output) -> Result<Exit, CliError> {
    match command {
        AppCommand::Create(arguments) => manage::create(arguments, session, output).await,
        AppCommand::Get(arguments) => manage::get(arguments, session, output).await,
        AppCommand::List => manage::list(session, output).await,
        AppCommand::Update(arguments) => manage::update(arguments, session, output).await,
        AppCommand::Delete(arguments) => manage::delete(arguments, session, output).await,
        AppCommand::RevokeTokens(arguments) => manage::revoke_tokens(arguments, session, output).await,
        AppCommand::RotateSecret(arguments) => secrets::rotate(arguments, session, output).await,
        AppCommand::Secret => secrets::generate(output),
    }
}
