//! `tokenbind keys list|rotate`.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tokenbind_proto::v1::key_service_client::KeyServiceClient;
use tokenbind_proto::v1::{GetKeySetRequest, RotateSigningKeyRequest};

use crate::client::{Authorization, Session};
use crate::error::{CliError, Exit};
use crate::output::{Output, table};

/// How often to look how far a rotation is.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

pub(super) async fn list(session: Session, output: Output) -> Result<Exit, CliError> {
    let link = session.issuer(&Authorization::None).await?;
    let answer = KeyServiceClient::new(link).get_key_set(GetKeySetRequest {}).await?;
    let answer = answer.into_inner();
    let set: Value = serde_json::from_str(&answer.jwks_json).map_err(|_| CliError::incomplete("JWK Set"))?;
    let keys = set.get("keys").and_then(Value::as_array).cloned().unwrap_or_default();
    let active = answer.active_key_id;
    output.print(&json!({"active_key_id": active, "keys": keys}), || {
        let row = |key: &Value| {
            let member = |name: &str| key.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let signs = if member("kid") == active { "yes" } else { "" };
            [member("kid"), member("alg"), member("kty"), signs.to_owned()]
        };
        table(["KEY ID", "ALGORITHM", "TYPE", "SIGNS NOW"], keys.iter().map(row))
    })?;
    Ok(Exit::Fine)
}

/// When to sign with the new key.
#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    /// At once: for a key that is not to be trusted any more. Whoever keeps a JWK Set may not know the new one yet
    #[arg(long)]
    now: bool,

    /// Goes on until the issuer signs with the new key, and says how far it is
    #[arg(long, conflicts_with = "now")]
    wait: bool,
}

pub(super) async fn rotate(arguments: &RotateArgs, mut session: Session, output: Output) -> Result<Exit, CliError> {
    let mut service = KeyServiceClient::new(session.admin().await?);
    let before = service
        .get_key_set(GetKeySetRequest {})
        .await?
        .into_inner()
        .active_key_id;
    let request = RotateSigningKeyRequest {
        immediately: arguments.now,
    };
    let rotated = service.rotate_signing_key(request).await?.into_inner();
    let newest = rotated.newest_key_id;
    if newest == before {
        return Err(CliError::Usage {
            message: format!("nothing was rotated: the issuer has no newer key than {newest}, with which it signs already"),
            hint: Some(
                "put a new one into its key directory (tokenbind keys generate), under a name that comes behind the others'"
                    .to_owned(),
            ),
        });
    }
    let mut active = rotated.active_key_id;
    let use_time = rotated.use_time.ok_or_else(|| CliError::incomplete("time"))?;
    if arguments.wait && active != newest {
        output.progress(&format!(
            "{newest} is published; the issuer signs with it from {use_time}"
        ));
    }
    while arguments.wait && active != newest {
        tokio::time::sleep(POLL_INTERVAL).await;
        let set = service.get_key_set(GetKeySetRequest {}).await?.into_inner();
        active = set.active_key_id;
    }
    let answer = json!({"active_key_id": active, "newest_key_id": newest, "use_time": use_time.to_string()});
    output.print(&answer, || {
        if active == newest {
            format!("the issuer signs with {active} now")
        } else {
            format!("{newest} is published; the issuers that have it sign with it from {use_time}, until then with the one before")
        }
    })?;
    Ok(Exit::Fine)
}
