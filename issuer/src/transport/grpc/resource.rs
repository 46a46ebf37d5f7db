//! `tokenbind.v1.ResourceService`.

use tokenbind_proto::v1::resource_service_server::ResourceService;
use tokenbind_proto::v1::{
    CreateResourceRequest, CreateResourceResponse, DeleteResourceRequest, DeleteResourceResponse, GetResourceRequest,
    GetResourceResponse, ListResourcesRequest, ListResourcesResponse, UpdateResourceRequest, UpdateResourceResponse,
};
use tonic::{Request, Response, Status, async_trait};

use super::access::require_admin;
use super::status::to_status;
use crate::admin::{Administration, PageRequest, leave_trail};
use crate::admin_access::AdminAccess;
use crate::context::Issuer;

/// Administers resources.
pub(super) struct ResourceRpc {
    access: AdminAccess,
    admin: Administration,
}

impl ResourceRpc {
    /// Serves this issuer.
    pub(super) fn new(issuer: &Issuer) -> Self {
        Self {
            access: AdminAccess::of(issuer),
            admin: Administration::of(issuer),
        }
    }
}

#[async_trait]
impl ResourceService for ResourceRpc {
    async fn create_resource(
        &self,
        request: Request<CreateResourceRequest>,
    ) -> Result<Response<CreateResourceResponse>, Status> {
        let administrator = require_admin(&self.access, &request).await?;
        let created = self.admin.create_resource(request.into_inner().resource).await;
        let (resource, secret) = created.map_err(to_status)?;
        leave_trail(&administrator, "resource_created", &resource.resource_id);
        let resource_secret = secret.expose().to_owned();
        Ok(Response::new(CreateResourceResponse {
            resource: Some(resource),
            resource_secret,
        }))
    }

    async fn get_resource(
        &self,
        request: Request<GetResourceRequest>,
    ) -> Result<Response<GetResourceResponse>, Status> {
        require_admin(&self.access, &request).await?;
        let resource = self
            .admin
            .get_resource(&request.get_ref().resource_id)
            .await
            .map_err(to_status)?;
        Ok(Response::new(GetResourceResponse {
            resource: Some(resource),
        }))
    }

    async fn list_resources(
        &self,
        request: Request<ListResourcesRequest>,
    ) -> Result<Response<ListResourcesResponse>, Status> {
        require_admin(&self.access, &request).await?;
        let asked = request.into_inner();
        let page = PageRequest::parse(asked.page_size, &asked.page_token).map_err(to_status)?;
        let page = self.admin.list_resources(&page).await.map_err(to_status)?;
        let next_page_token = page.next_page_token;
        Ok(Response::new(ListResourcesResponse {
            resources: page.members,
            next_page_token,
        }))
    }

    async fn update_resource(
        &self,
        request: Request<UpdateResourceRequest>,
    ) -> Result<Response<UpdateResourceResponse>, Status> {
        let administrator = require_admin(&self.access, &request).await?;
        let asked = request.into_inner();
        let paths = asked.update_mask.unwrap_or_default().paths;
        let resource = self
            .admin
            .update_resource(asked.resource, &paths)
            .await
            .map_err(to_status)?;
        leave_trail(&administrator, "resource_updated", &resource.resource_id);
        Ok(Response::new(UpdateResourceResponse {
            resource: Some(resource),
        }))
    }

    async fn delete_resource(
        &self,
        request: Request<DeleteResourceRequest>,
    ) -> Result<Response<DeleteResourceResponse>, Status> {
        let administrator = require_admin(&self.access, &request).await?;
        let resource_id = request.into_inner().resource_id;
        self.admin.delete_resource(&resource_id).await.map_err(to_status)?;
        leave_trail(&administrator, "resource_deleted", &resource_id);
        Ok(Response::new(DeleteResourceResponse {}))
    }
}
