//! `tokenbind.v1.ApplicationService`.

use prost_types::Timestamp;
use tokenbind_proto::v1::application_service_server::ApplicationService;
use tokenbind_proto::v1::{
    CreateApplicationRequest, CreateApplicationResponse, DeleteApplicationRequest, DeleteApplicationResponse,
    GetApplicationRequest, GetApplicationResponse, ListApplicationsRequest, ListApplicationsResponse,
    RotateApplicationSecretRequest, RotateApplicationSecretResponse, UpdateApplicationRequest,
    UpdateApplicationResponse,
};
use tonic::{Request, Response, Status, async_trait};

use super::access::require_admin;
use super::status::to_status;
use crate::admin::{Administration, PageRequest, leave_trail};
use crate::admin_access::AdminAccess;
use crate::context::Issuer;

/// Administers applications.
pub(super) struct ApplicationRpc {
    access: AdminAccess,
    admin: Administration,
}

impl ApplicationRpc {
    /// Serves this issuer.
    pub(super) fn new(issuer: &Issuer) -> Self {
        Self {
            access: AdminAccess::of(issuer),
            admin: Administration::of(issuer),
        }
    }
}

#[async_trait]
impl ApplicationService for ApplicationRpc {
    async fn create_application(
        &self,
        request: Request<CreateApplicationRequest>,
    ) -> Result<Response<CreateApplicationResponse>, Status> {
        let administrator = require_admin(&self.access, &request).await?;
        let created = self.admin.create_application(request.into_inner().application).await;
        let (application, secret) = created.map_err(to_status)?;
        leave_trail(&administrator, "application_created", &application.client_id);
        let client_secret = secret.map(|secret| secret.expose().to_owned()).unwrap_or_default();
        Ok(Response::new(CreateApplicationResponse {
            application: Some(application),
            client_secret,
        }))
    }

    async fn get_application(
        &self,
        request: Request<GetApplicationRequest>,
    ) -> Result<Response<GetApplicationResponse>, Status> {
        require_admin(&self.access, &request).await?;
        let application = self
            .admin
            .get_application(&request.get_ref().client_id)
            .await
            .map_err(to_status)?;
        Ok(Response::new(GetApplicationResponse {
            application: Some(application),
        }))
    }

    async fn list_applications(
        &self,
        request: Request<ListApplicationsRequest>,
    ) -> Result<Response<ListApplicationsResponse>, Status> {
        require_admin(&self.access, &request).await?;
        let asked = request.into_inner();
        let page = PageRequest::parse(asked.page_size, &asked.page_token).map_err(to_status)?;
        let page = self.admin.list_applications(&page).await.map_err(to_status)?;
        let next_page_token = page.next_page_token;
        Ok(Response::new(ListApplicationsResponse {
            applications: page.members,
            next_page_token,
        }))
    }

    async fn update_application(
        &self,
        request: Request<UpdateApplicationRequest>,
    ) -> Result<Response<UpdateApplicationResponse>, Status> {
        let administrator = require_admin(&self.access, &request).await?;
        let asked = request.into_inner();
        let paths = asked.update_mask.unwrap_or_default().paths;
        let application = self
            .admin
            .update_application(asked.application, &paths)
            .await
            .map_err(to_status)?;
        leave_trail(&administrator, "application_updated", &application.client_id);
        Ok(Response::new(UpdateApplicationResponse {
            application: Some(application),
        }))
    }

    async fn delete_application(
        &self,
        request: Request<DeleteApplicationRequest>,
    ) -> Result<Response<DeleteApplicationResponse>, Status> {
        let administrator = require_admin(&self.access, &request).await?;
        let client_id = request.into_inner().client_id;
        self.admin.delete_application(&client_id).await.map_err(to_status)?;
        leave_trail(&administrator, "application_deleted", &client_id);
        Ok(Response::new(DeleteApplicationResponse {}))
    }

    async fn rotate_application_secret(
        &self,
        request: Request<RotateApplicationSecretRequest>,
    ) -> Result<Response<RotateApplicationSecretResponse>, Status> {
        let administrator = require_admin(&self.access, &request).await?;
        let RotateApplicationSecretRequest {
            client_id,
            overlap_seconds,
        } = request.into_inner();
        let rotated = self
            .admin
            .rotate_application_secret(&client_id, overlap_seconds)
            .await
            .map_err(to_status)?;
        leave_trail(&administrator, "application_secret_rotated", &client_id);
        Ok(Response::new(RotateApplicationSecretResponse {
            client_secret: rotated.secret.expose().to_owned(),
            previous_expire_at: rotated
                .previous_expire_at
                .map(|seconds| Timestamp { seconds, nanos: 0 }),
        }))
    }
}
