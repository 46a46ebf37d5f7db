//! `tokenbind.v1.KeyService`.

use prost_types::Timestamp;
use tokenbind_proto::v1::key_service_server::KeyService;
use tokenbind_proto::v1::{GetKeySetRequest, GetKeySetResponse, RotateSigningKeyRequest, RotateSigningKeyResponse};
use tonic::{Request, Response, Status, async_trait};

use super::access::require_admin;
use super::status::to_status;
use crate::admin_access::AdminAccess;
use crate::context::Issuer;
use crate::keys::When;

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
}
