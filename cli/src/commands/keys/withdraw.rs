//! `tokenbind keys withdraw`.

use clap::Args;
use serde_json::json;
use tokenbind_proto::v1::key_service_client::KeyServiceClient;
use tokenbind_proto::v1::{KeyUse, WithdrawKeyRequest};

use crate::client::Session;
use crate::error::{CliError, Exit};
use crate::output::Output;

/// Which key.
#[derive(Debug, Args)]
pub(crate) struct WithdrawArgs {
    /// The `kid` of a signing key (`tokenbind keys list`), or with --opaque the name of the key's file
    key_id: String,

    /// A key that opaque tokens and refresh tokens are derived with, instead of one that signs
    #[arg(long)]
    opaque: bool,
}

pub(super) async fn run(arguments: WithdrawArgs, mut session: Session, output: Output) -> Result<Exit, CliError> {
    let WithdrawArgs { key_id, opaque } = arguments;
    let key_use = if opaque { KeyUse::Opaque } else { KeyUse::Signing };
    let request = WithdrawKeyRequest {
        r#use: key_use.into(),
        key_id: key_id.clone(),
    };
    let mut service = KeyServiceClient::new(session.admin().await?);
    let done = service.withdraw_key(request).await?.into_inner();
    let (active, revision) = (done.active_key_id, done.revision);
    let answer = json!({"withdrawn_key_id": key_id, "active_key_id": active, "revision": revision});
    output.print(&answer, || {
        format!(
            "{key_id} is withdrawn: what it made is refused; the issuer uses {active} now. Take the file of {key_id} away \
             from every issuer"
        )
    })?;
    Ok(Exit::Fine)
}
