//! `tokenbind.v1.UserService`.

use secrecy::SecretString;
use tokenbind_proto::v1::user_service_server::UserService;
use tokenbind_proto::v1::{
    CreateUserRequest, CreateUserResponse, DeleteUserRequest, DeleteUserResponse, GetUserRequest, GetUserResponse,
    ListUsersRequest, ListUsersResponse, UpdateUserRequest, UpdateUserResponse,
};
use tonic::{Request, Response, Status, async_trait};

use super::access::require_admin;
use super::status::to_status;
use crate::admin::{Administration, PageRequest, leave_trail};
use crate::admin_access::AdminAccess;
use crate::context::Issuer;

/// Administers users.
pub(super) struct UserRpc {
    access: AdminAccess,
    admin: Administration,
}

impl UserRpc {
    /// Serves this issuer.
    pub(super) fn new(issuer: &Issuer) -> Self {
        Self {
            access: AdminAccess::of(issuer),
            admin: Administration::of(issuer),
        }
    }
}

#[async_trait]
impl UserService for UserRpc {
    async fn create_user(&self, request: Request<CreateUserRequest>) -> Result<Response<CreateUserResponse>, Status> {
        let administrator = require_admin(&self.access, &request).await?;
        let asked = request.into_inner();
        let password = SecretString::from(asked.password);
        let user = self.admin.create_user(asked.user, password).await.map_err(to_status)?;
        leave_trail(&administrator, "user_created", &user.username);
        Ok(Response::new(CreateUserResponse { user: Some(user) }))
    }

    async fn get_user(&self, request: Request<GetUserRequest>) -> Result<Response<GetUserResponse>, Status> {
        require_admin(&self.access, &request).await?;
        let user = self
            .admin
            .get_user(&request.get_ref().username)
            .await
            .map_err(to_status)?;
        Ok(Response::new(GetUserResponse { user: Some(user) }))
    }

    async fn list_users(&self, request: Request<ListUsersRequest>) -> Result<Response<ListUsersResponse>, Status> {
        require_admin(&self.access, &request).await?;
        let asked = request.into_inner();
        let page = PageRequest::parse(asked.page_size, &asked.page_token).map_err(to_status)?;
        let page = self.admin.list_users(&page).await.map_err(to_status)?;
        Ok(Response::new(ListUsersResponse {
            users: page.members,
            next_page_token: page.next_page_token,
        }))
    }

    async fn update_user(&self, request: Request<UpdateUserRequest>) -> Result<Response<UpdateUserResponse>, Status> {
        let administrator = require_admin(&self.access, &request).await?;
        let asked = request.into_inner();
        let paths = asked.update_mask.unwrap_or_default().paths;
        let password = SecretString::from(asked.password);
        let user = self
            .admin
            .update_user(asked.user, &paths, password)
            .await
            .map_err(to_status)?;
        leave_trail(&administrator, "user_updated", &user.username);
        Ok(Response::new(UpdateUserResponse { user: Some(user) }))
    }

    async fn delete_user(&self, request: Request<DeleteUserRequest>) -> Result<Response<DeleteUserResponse>, Status> {
        let administrator = require_admin(&self.access, &request).await?;
        let username = request.into_inner().username;
        self.admin.delete_user(&username).await.map_err(to_status)?;
        leave_trail(&administrator, "user_deleted", &username);
        Ok(Response::new(DeleteUserResponse {}))
    }
}
