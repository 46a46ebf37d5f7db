//! `tokenbind.v1.KeyService`.

use prost_types::Timestamp;
use tokenbind_proto::v1::key_service_server::KeyService;
use tokenbind_proto::v1::{
    GetKeySetRequest, GetKeySetResponse, KeyUse, RotateSigningKeyRequest, RotateSigningKeyResponse, WithdrawKeyRequest,
    WithdrawKeyResponse,
};
use tonic::{Request, Response, Status, async_trait};

use super::access::require_admin;
use super::status::to_status;
use crate::admin_access::AdminAccess;
use crate::context::Issuer;
use crate::error::IssuerError;
use crate::keys::When;
use crate::telemetry;

/// Longer than the name of any key. Bytes.
const MAX_KEY_ID_BYTES: usize = 256;

/// Answers and rotates the keys that sign JWTs.
#[derive(Clone)]
pub(super) struct KeyRpc {
    issuer: Issuer,
    access: AdminAccess,
}

impl KeyRpc {
    /// Serves this issuer.
    pub(super) fn new(issuer: Issuer) -> Self {
        let access = AdminAccess::of(&issuer);
        Self { issuer, access }
    }
}

#[async_trait]
impl KeyService for KeyRpc {
    async fn get_key_set(&self, _: Request<GetKeySetRequest>) -> Result<Response<GetKeySetResponse>, Status> {
        let set = self.issuer.key_set().await.map_err(to_status)?;
        Ok(Response::new(GetKeySetResponse {
            jwks_json: set.jwks.to_string(),
            active_key_id: set.active_key_id,
        }))
    }

    async fn rotate_signing_key(
        &self,
        request: Request<RotateSigningKeyRequest>,
    ) -> Result<Response<RotateSigningKeyResponse>, Status> {
        require_admin(&self.access, &request).await?;
        let when = if request.get_ref().immediately {
            When::Now
        } else {
            When::Known
        };
        let rotation = self.issuer.rotate_signing_key(when).await.map_err(to_status)?;
        Ok(Response::new(RotateSigningKeyResponse {
            active_key_id: rotation.active_key_id,
            newest_key_id: rotation.newest_key_id,
            use_time: Some(Timestamp {
                seconds: rotation.use_from,
                nanos: 0,
            }),
        }))
    }

    async fn withdraw_key(
        &self,
        request: Request<WithdrawKeyRequest>,
    ) -> Result<Response<WithdrawKeyResponse>, Status> {
        let administrator = require_admin(&self.access, &request).await?;
        let request = request.into_inner();
        let key_id = request.key_id.as_str();
        check_key_id(key_id).map_err(to_status)?;
        let (kind, withdrawn) = match request.r#use() {
            KeyUse::Signing => ("signing", self.issuer.withdraw_signing_key(key_id).await),
            KeyUse::Opaque => ("opaque", self.issuer.withdraw_opaque_key(key_id).await),
            KeyUse::Unspecified => {
                let error = IssuerError::invalid_field("use", "must be KEY_USE_SIGNING or KEY_USE_OPAQUE");
                return Err(to_status(error));
            }
        };
        let withdrawal = withdrawn.map_err(to_status)?;
        telemetry::key_withdrawn(kind, key_id, &administrator.client_id, withdrawal.revision);
        Ok(Response::new(WithdrawKeyResponse {
            active_key_id: withdrawal.active_key_id,
            revision: withdrawal.revision,
        }))
    }
}

fn check_key_id(key_id: &str) -> Result<(), IssuerError> {
    if (1..=MAX_KEY_ID_BYTES).contains(&key_id.len()) {
        return Ok(());
    }
    let problem = format!("must be 1 to {MAX_KEY_ID_BYTES} bytes");
    Err(IssuerError::invalid_field("key_id", problem))
}
