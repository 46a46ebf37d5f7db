//! `tokenbind keys`.

mod generate;
mod signing;
mod withdraw;

use clap::Subcommand;

use crate::client::Session;
use crate::error::{CliError, Exit};
use crate::output::Output;

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Lists the public keys that verify the issuers' JWTs; needs no credentials
    List,
    /// Makes the issuers sign with a new key, when everybody who verifies knows it: the newest of their directories, or a generated one
    Rotate(signing::RotateArgs),
    /// Withdraws a key that leaked, for good: what it made is refused everywhere, and another key is used at once
    Withdraw(withdraw::WithdrawArgs),
    /// Writes a new private key for an issuer into a file that only its owner may read; asks no server
    Generate(generate::GenerateArgs),
}

pub(crate) async fn run(command: KeysCommand, session: Session, output: Output) -> Result<Exit, CliError> {
    match command {
        KeysCommand::List => signing::list(session, output).await,
        KeysCommand::Rotate(arguments) => signing::rotate(&arguments, session, output).await,
        KeysCommand::Withdraw(arguments) => withdraw::run(arguments, session, output).await,
        KeysCommand::Generate(arguments) => generate::run(&arguments, output),
    }
}
