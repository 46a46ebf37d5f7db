//! The grant of a request, as options.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use secrecy::ExposeSecret as _;
use tokenbind_proto::v1::issue_token_request::Grant;
use tokenbind_proto::v1::{
    ClientCredentialsGrant, JwtBearerGrant, PasswordGrant, RefreshTokenGrant, TokenExchangeGrant,
};

use crate::error::CliError;
use crate::input::{PasswordArgs, Stdin};

/// Who the token speaks for; without any of these the application speaks for itself.
#[derive(Debug, Args)]
pub(super) struct GrantArgs {
    /// The user that the token speaks for; the password comes from standard input, a file or `TOKENBIND_PASSWORD`
    #[arg(long, value_name = "USERNAME", group = "grant")]
    username: Option<String>,

    #[command(flatten)]
    password: PasswordArgs,

    /// Exchanges the token in this file, or with `-` from standard input (RFC 8693)
    #[arg(long, value_name = "FILE", group = "grant")]
    subject_token_file: Option<PathBuf>,

    /// What the token to exchange is: an access token of this issuer, or a JWT, also of a trusted issuer
    #[arg(long, value_name = "TYPE", default_value = "jwt", requires = "subject_token_file")]
    subject_token_type: TokenType,

    /// The token in this file is of who will act for the subject
    #[arg(long, value_name = "FILE", requires = "subject_token_file")]
    actor_token_file: Option<PathBuf>,

    /// What the actor's token is; see --subject-token-type
    #[arg(long, value_name = "TYPE", default_value = "jwt", requires = "actor_token_file")]
    actor_token_type: TokenType,

    /// The refresh token in this file, or with `-` from standard input, is used; the answer has the next one
    #[arg(long, value_name = "FILE", group = "grant")]
    refresh_token_file: Option<PathBuf>,

    /// The assertion of a trusted issuer in this file is the grant (RFC 7523)
    #[arg(long, value_name = "FILE", group = "grant")]
    assertion_file: Option<PathBuf>,
}

/// A kind of token (RFC 8693, section 3).
#[derive(Clone, Copy, Debug, ValueEnum)]
enum TokenType {
    /// `urn:ietf:params:oauth:token-type:access_token`
    AccessToken,
    /// `urn:ietf:params:oauth:token-type:jwt`
    Jwt,
}

impl TokenType {
    fn urn(self) -> String {
        let name = match self {
            Self::AccessToken => "access_token",
            Self::Jwt => "jwt",
        };
        format!("urn:ietf:params:oauth:token-type:{name}")
    }
}

impl GrantArgs {
    /// The grant, with what it needs read.
    pub(super) fn read(self, stdin: &mut Stdin) -> Result<Grant, CliError> {
        if let Some(username) = self.username {
            let password = self.password.required(stdin)?.expose_secret().to_owned();
            return Ok(Grant::Password(PasswordGrant { username, password }));
        }
        if let Some(path) = self.refresh_token_file {
            let refresh_token = stdin.read_path(&path, "the refresh token")?;
            return Ok(Grant::RefreshToken(RefreshTokenGrant { refresh_token }));
        }
        if let Some(path) = self.assertion_file {
            let assertion = stdin.read_path(&path, "the assertion")?;
            return Ok(Grant::JwtBearer(JwtBearerGrant { assertion }));
        }
        let Some(path) = self.subject_token_file else {
            return Ok(Grant::ClientCredentials(ClientCredentialsGrant {}));
        };
        let mut exchange = TokenExchangeGrant {
            subject_token: stdin.read_path(&path, "the token to exchange")?,
            subject_token_type: self.subject_token_type.urn(),
            ..TokenExchangeGrant::default()
        };
        if let Some(path) = self.actor_token_file {
            exchange.actor_token = stdin.read_path(&path, "the actor's token")?;
            exchange.actor_token_type = self.actor_token_type.urn();
        }
        Ok(Grant::TokenExchange(exchange))
    }
}
