//! `tokenbind app rotate-secret|secret`.

use std::fmt::Write as _;

use clap::Args;
use serde_json::json;
use tokenbind_index::{GeneratedSecret, SystemEntropy};
use tokenbind_proto::v1::RotateApplicationSecretRequest;
use tokenbind_proto::v1::application_service_client::ApplicationServiceClient;

use crate::client::Session;
use crate::error::{CliError, Exit};
use crate::output::{Output, facts};
use crate::view::timestamp;

/// Which application, and how long the earlier secrets stay.
#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    /// The id of the application; the option --client-id names the one that calls
    #[arg(id = "application", value_name = "CLIENT_ID")]
    application: String,

    /// Seconds that the earlier secrets stay good, at most 2,592,000 (30 days)
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    overlap: u32,
}

pub(super) async fn rotate(arguments: RotateArgs, mut session: Session, output: Output) -> Result<Exit, CliError> {
    let request = RotateApplicationSecretRequest {
        client_id: arguments.application,
        overlap_seconds: arguments.overlap,
    };
    let mut service = ApplicationServiceClient::new(session.admin().await?);
    let rotated = service.rotate_application_secret(request).await?.into_inner();
    let end = timestamp(rotated.previous_expire_at.as_ref());
    let json = json!({"client_secret": rotated.client_secret, "previous_expire_at": end});
    output.print(&json, || {
        facts([
            ("secret (shown this once)", rotated.client_secret.clone()),
            ("earlier secrets end", end.clone()),
        ])
    })?;
    Ok(Exit::Fine)
}

pub(super) fn generate(output: Output) -> Result<Exit, CliError> {
    let secret = GeneratedSecret::generate(&SystemEntropy);
    let digest = hex(secret.hash().as_bytes());
    let json = json!({"client_secret": secret.expose(), "secret_sha256": digest});
    output.print(&json, || {
        facts([
            ("secret, for the application", secret.expose().to_owned()),
            ("secret_sha256, for the catalog", digest.clone()),
        ])
    })?;
    Ok(Exit::Fine)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_written_in_hex() {
        assert_eq!(hex(&[0x00, 0x0f, 0xff]), "000fff");
    }
}
