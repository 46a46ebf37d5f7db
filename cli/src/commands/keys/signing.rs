//! `tokenbind keys list|rotate`.

use serde_json::{Value, json};
use tokenbind_proto::v1::key_service_client::KeyServiceClient;
use tokenbind_proto::v1::{GetKeySetRequest, RotateSigningKeyRequest};

use crate::client::{Authorization, Session};
use crate::error::{CliError, Exit};
use crate::output::{Output, table};

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

pub(super) async fn rotate(mut session: Session, output: Output) -> Result<Exit, CliError> {
    let mut service = KeyServiceClient::new(session.admin().await?);
    let rotated = service
        .rotate_signing_key(RotateSigningKeyRequest {})
        .await?
        .into_inner();
    output.print(&json!({"active_key_id": rotated.active_key_id}), || {
        format!("the issuer signs with {} now", rotated.active_key_id)
    })?;
    Ok(Exit::Fine)
}
