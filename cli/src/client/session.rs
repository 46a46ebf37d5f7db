//! What a command calls with: connections and credentials, made when they are needed.

use secrecy::{ExposeSecret as _, SecretString};
use tokenbind_proto::v1::issue_token_request::Grant;
use tokenbind_proto::v1::token_service_client::TokenServiceClient;
use tokenbind_proto::v1::{ClientCredentialsGrant, IssueTokenRequest};

use super::{ADMIN_SCOPE, Authorization, ClientArgs, Link, Outgoing, channel};
use crate::error::CliError;
use crate::input::Stdin;

/// An application's id and secret.
#[derive(Clone, Debug)]
pub(crate) struct ClientCredentials {
    /// Who.
    pub(crate) id: String,
    /// The proof.
    pub(crate) secret: SecretString,
}

impl ClientCredentials {
    /// As metadata.
    pub(crate) fn basic(&self) -> Authorization {
        Authorization::Basic {
            id: self.id.clone(),
            secret: self.secret.clone(),
        }
    }
}

/// What a command calls with.
#[derive(Debug)]
pub(crate) struct Session {
    client: ClientArgs,
    /// What the command reads from standard input.
    pub(crate) stdin: Stdin,
}

impl Session {
    /// Nothing is connected yet.
    pub(crate) fn new(client: ClientArgs) -> Self {
        Self {
            client,
            stdin: Stdin::default(),
        }
    }

    /// The application's name, where it was given.
    pub(crate) fn client_id(&self) -> Option<String> {
        self.client.client_id.clone()
    }

    /// The application's credentials.
    pub(crate) fn credentials(&mut self) -> Result<ClientCredentials, CliError> {
        let missing = |what: &str, variable: &str| {
            CliError::usage_with_hint(
                format!("the application's {what} is missing"),
                format!("give it with --client-{what} or {variable}; `tokenbind dev` prints those of its samples"),
            )
        };
        let id = self.client.client_id.clone();
        let id = id.ok_or_else(|| missing("id", "TOKENBIND_CLIENT_ID"))?;
        let secret = match (&self.client.client_secret_file, &self.client.client_secret) {
            (Some(path), _) => self.stdin.read_path(path, "the application's secret")?,
            (None, Some(secret)) => {
                return Ok(ClientCredentials {
                    id,
                    secret: secret.clone(),
                });
            }
            (None, None) => return Err(missing("secret", "TOKENBIND_CLIENT_SECRET")),
        };
        Ok(ClientCredentials {
            id,
            secret: secret.into(),
        })
    }

    /// The issuer, called with these credentials.
    pub(crate) async fn issuer(&self, authorization: &Authorization) -> Result<Link, CliError> {
        self.link("issuer", &self.client.issuer_url, authorization).await
    }

    /// The validator, called with these credentials.
    pub(crate) async fn validator(&self, authorization: &Authorization) -> Result<Link, CliError> {
        self.link("validator", &self.client.validator_url, authorization).await
    }

    /// The issuer, called as an administrator.
    pub(crate) async fn admin(&mut self) -> Result<Link, CliError> {
        let credentials = self.credentials()?;
        let token = self.admin_token(&credentials).await?;
        let token = token.ok_or(CliError::NotAdministrator {
            client_id: credentials.id,
        })?;
        self.issuer(&Authorization::Bearer(token)).await
    }

    /// An administrator's token; `None` for an application that is who it says, but may not administer.
    pub(crate) async fn admin_token(&self, credentials: &ClientCredentials) -> Result<Option<SecretString>, CliError> {
        let link = self.issuer(&Authorization::None).await?;
        let request = IssueTokenRequest {
            grant: Some(Grant::ClientCredentials(ClientCredentialsGrant {})),
            client_id: credentials.id.clone(),
            client_secret: credentials.secret.expose_secret().to_owned(),
            scopes: vec![ADMIN_SCOPE.to_owned()],
            ..IssueTokenRequest::default()
        };
        match TokenServiceClient::new(link).issue_token(request).await {
            Ok(response) => Ok(Some(response.into_inner().access_token.into())),
            Err(status) => {
                let error = CliError::from(status);
                let refused = matches!(error.reason().as_str(), "invalid_scope" | "unauthorized_client");
                if refused { Ok(None) } else { Err(error) }
            }
        }
    }

    async fn link(&self, service: &'static str, url: &str, authorization: &Authorization) -> Result<Link, CliError> {
        let outgoing = Outgoing::new(authorization, self.client.timeout)?;
        let channel = channel::connect(service, url, &self.client).await?;
        Ok(Link::new(channel, outgoing))
    }
}
