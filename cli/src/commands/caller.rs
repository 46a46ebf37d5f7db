//! The resource that asks the validator.

use std::path::PathBuf;

use clap::Args;
use secrecy::SecretString;

use crate::client::Authorization;
use crate::error::CliError;
use crate::input::Stdin;

/// The resource that asks the validator.
#[derive(Clone, Debug, Args)]
pub(crate) struct CallerArgs {
    /// The resource that asks, or without a secret the one that it is asked for
    #[arg(long, env = "TOKENBIND_RESOURCE", value_name = "RESOURCE_ID")]
    pub(crate) resource: Option<String>,

    /// The resource's secret; better in the variable or in a file
    #[arg(
        long,
        env = "TOKENBIND_RESOURCE_SECRET",
        hide_env_values = true,
        value_name = "SECRET",
        requires = "resource"
    )]
    pub(crate) resource_secret: Option<SecretString>,

    /// Reads the resource's secret from a file, or with `-` from standard input
    #[arg(long, value_name = "FILE", requires = "resource")]
    pub(crate) resource_secret_file: Option<PathBuf>,
}

impl CallerArgs {
    /// How the call is authorised. Without a secret it has no credentials: only a development stack answers that.
    pub(crate) fn authorization(&self, stdin: &mut Stdin) -> Result<Authorization, CliError> {
        let Some(id) = self.resource.clone() else {
            return Ok(Authorization::None);
        };
        let secret = match (&self.resource_secret_file, &self.resource_secret) {
            (Some(path), _) => stdin.read_path(path, "the resource's secret")?.into(),
            (None, Some(secret)) => secret.clone(),
            (None, None) => return Ok(Authorization::None),
        };
        Ok(Authorization::Basic { id, secret })
    }
}
