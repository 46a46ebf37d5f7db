//! `tokenbind token revoke`.

use clap::Args;
use secrecy::ExposeSecret as _;
use serde_json::json;
use tokenbind_proto::v1::RevokeTokenRequest;
use tokenbind_proto::v1::token_service_client::TokenServiceClient;

use crate::client::{Authorization, Session};
use crate::error::{CliError, Exit};
use crate::output::Output;

/// Which token.
#[derive(Debug, Args)]
pub(crate) struct RevokeArgs {
    /// The token, or `-` to read it from standard input
    token: String,
}

pub(super) async fn run(arguments: RevokeArgs, mut session: Session, output: Output) -> Result<Exit, CliError> {
    let token = session.stdin.read_argument(arguments.token, "the token")?;
    let credentials = session.credentials()?;
    let request = RevokeTokenRequest {
        token,
        client_id: credentials.id,
        client_secret: credentials.secret.expose_secret().to_owned(),
        ..RevokeTokenRequest::default()
    };
    let link = session.issuer(&Authorization::None).await?;
    let revoked = TokenServiceClient::new(link).revoke_token(request).await?.into_inner();
    output.print(&json!({"revision": revoked.revision}), || {
        format!("the token is dead (revision {})", revoked.revision)
    })?;
    Ok(Exit::Fine)
}
