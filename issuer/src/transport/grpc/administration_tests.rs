//! The admin services, from the message to the status.

use prost_types::FieldMask;
use tokenbind_proto::v1::application_service_server::ApplicationService as _;
use tokenbind_proto::v1::resource_service_server::ResourceService as _;
use tokenbind_proto::v1::user_service_server::UserService as _;
use tokenbind_proto::v1::{
    Application, CreateApplicationRequest, CreateResourceRequest, CreateUserRequest, DeleteApplicationRequest,
    DeleteResourceRequest, DeleteUserRequest, GetApplicationRequest, GetResourceRequest, GetUserRequest, GrantType,
    ListApplicationsRequest, ListResourcesRequest, ListUsersRequest, Resource, RotateApplicationSecretRequest,
    TokenFormat, UpdateApplicationRequest, UpdateResourceRequest, UpdateUserRequest, User,
};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use super::application::ApplicationRpc;
use super::resource::ResourceRpc;
use super::user::UserRpc;
use crate::admin_access::{ADMIN_AUDIENCE, ADMIN_SCOPE};
use crate::test_support::{Harness, strings, text};

/// The three services, and a token of an administrator.
struct Bench {
    applications: ApplicationRpc,
    users: UserRpc,
    resources: ResourceRpc,
    token: String,
}

async fn bench() -> Bench {
    let harness = Harness::new();
    let administer = |it: &mut Application| {
        it.scopes = strings(&[ADMIN_SCOPE]);
        it.audiences = strings(&[ADMIN_AUDIENCE]);
        it.grants = vec![GrantType::ClientCredentials.into()];
    };
    harness.application("operations", TokenFormat::Opaque, administer).await;
    let token = harness.token("operations", "").await;
    Bench {
        applications: ApplicationRpc::new(&harness.issuer),
        users: UserRpc::new(&harness.issuer),
        resources: ResourceRpc::new(&harness.issuer),
        token: text(&token).to_owned(),
    }
}

impl Bench {
    /// The same request, from an administrator.
    fn admin<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let value = format!("Bearer {}", self.token).parse().unwrap();
        request.metadata_mut().insert("authorization", value);
        request
    }

    async fn create(&self, client_id: &str) -> Result<String, Status> {
        let request = self.admin(CreateApplicationRequest {
            application: Some(application(client_id)),
        });
        let answer = self.applications.create_application(request).await?;
        Ok(answer.into_inner().client_secret)
    }
}

fn application(client_id: &str) -> Application {
    Application {
        client_id: client_id.into(),
        token_format: TokenFormat::Jwt.into(),
        grants: vec![GrantType::ClientCredentials.into()],
        audiences: strings(&["orders"]),
        ..Application::default()
    }
}

fn mask(paths: &[&str]) -> FieldMask {
    FieldMask { paths: strings(paths) }
}

fn reason(status: &Status) -> String {
    status
        .get_details_error_info()
        .map(|info| info.reason)
        .unwrap_or_default()
}

fn fields(status: &Status) -> Vec<String> {
    let violations = status
        .get_details_bad_request()
        .map(|bad| bad.field_violations)
        .unwrap_or_default();
    violations.into_iter().map(|violation| violation.field).collect()
}

/// The code of a call that came without a token; the request itself is empty, and must not be looked at first.
macro_rules! refused {
    ($service:expr, $($method:ident: $message:ty),* $(,)?) => {
        $(
            let status = $service.$method(Request::new(<$message>::default())).await.unwrap_err();
            assert_eq!(status.code(), Code::Unauthenticated, stringify!($method));
            assert_eq!(reason(&status), "invalid_token", stringify!($method));
        )*
    };
}

#[tokio::test]
async fn every_call_needs_an_administrators_token() {
    let bench = bench().await;
    refused!(
        bench.applications,
        create_application: CreateApplicationRequest,
        get_application: GetApplicationRequest,
        list_applications: ListApplicationsRequest,
        update_application: UpdateApplicationRequest,
        delete_application: DeleteApplicationRequest,
        rotate_application_secret: RotateApplicationSecretRequest,
    );
    refused!(
        bench.users,
        create_user: CreateUserRequest,
        get_user: GetUserRequest,
        list_users: ListUsersRequest,
        update_user: UpdateUserRequest,
        delete_user: DeleteUserRequest,
    );
    refused!(
        bench.resources,
        create_resource: CreateResourceRequest,
        get_resource: GetResourceRequest,
        list_resources: ListResourcesRequest,
        update_resource: UpdateResourceRequest,
        delete_resource: DeleteResourceRequest,
    );
}

#[tokio::test]
async fn an_application_lives_through_its_rpcs() {
    let bench = bench().await;
    let secret = bench.create("shop").await.unwrap();
    assert!(secret.starts_with("tbs_"));

    let update = UpdateApplicationRequest {
        application: Some(Application {
            disabled: true,
            ..application("shop")
        }),
        update_mask: Some(mask(&["disabled"])),
    };
    let updated = bench
        .applications
        .update_application(bench.admin(update))
        .await
        .unwrap();
    assert!(updated.into_inner().application.unwrap().disabled);

    let rotate = RotateApplicationSecretRequest {
        client_id: "shop".into(),
        overlap_seconds: 60,
    };
    let rotated = bench
        .applications
        .rotate_application_secret(bench.admin(rotate))
        .await
        .unwrap()
        .into_inner();
    assert_ne!(rotated.client_secret, secret);
    assert!(rotated.previous_expire_at.is_some());

    let list = ListApplicationsRequest {
        page_size: 1,
        page_token: String::new(),
    };
    let page = bench
        .applications
        .list_applications(bench.admin(list))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(page.applications[0].client_id, "operations");
    let list = ListApplicationsRequest {
        page_size: 1,
        page_token: page.next_page_token,
    };
    let page = bench
        .applications
        .list_applications(bench.admin(list))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (page.applications[0].client_id.as_str(), page.next_page_token.as_str()),
        ("shop", "")
    );

    let delete = DeleteApplicationRequest {
        client_id: "shop".into(),
    };
    bench
        .applications
        .delete_application(bench.admin(delete))
        .await
        .unwrap();
    let get = GetApplicationRequest {
        client_id: "shop".into(),
    };
    let status = bench.applications.get_application(bench.admin(get)).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "not_found"));
}

#[tokio::test]
async fn users_and_resources_live_through_theirs() {
    let bench = bench().await;
    let user = User {
        username: "alice".into(),
        ..User::default()
    };
    let create = CreateUserRequest {
        user: Some(user.clone()),
        password: "correct horse".into(),
    };
    bench.users.create_user(bench.admin(create)).await.unwrap();
    let update = UpdateUserRequest {
        user: Some(user),
        update_mask: Some(mask(&["password"])),
        password: "battery staple".into(),
    };
    bench.users.update_user(bench.admin(update)).await.unwrap();
    let users = bench
        .users
        .list_users(bench.admin(ListUsersRequest::default()))
        .await
        .unwrap()
        .into_inner()
        .users;
    assert_eq!(users[0].username, "alice");
    bench
        .users
        .delete_user(bench.admin(DeleteUserRequest {
            username: "alice".into(),
        }))
        .await
        .unwrap();
    let get = GetUserRequest {
        username: "alice".into(),
    };
    assert_eq!(
        bench.users.get_user(bench.admin(get)).await.unwrap_err().code(),
        Code::NotFound
    );

    let resource = Resource {
        resource_id: "orders".into(),
        ..Resource::default()
    };
    let create = CreateResourceRequest {
        resource: Some(resource.clone()),
    };
    let created = bench
        .resources
        .create_resource(bench.admin(create))
        .await
        .unwrap()
        .into_inner();
    assert!(created.resource_secret.starts_with("tbs_"));
    let update = UpdateResourceRequest {
        resource: Some(Resource {
            enforce_binding: true,
            ..resource
        }),
        update_mask: Some(mask(&["enforce_binding"])),
    };
    let updated = bench
        .resources
        .update_resource(bench.admin(update))
        .await
        .unwrap()
        .into_inner();
    assert!(updated.resource.unwrap().enforce_binding);
    let list = bench.admin(ListResourcesRequest::default());
    assert_eq!(
        bench
            .resources
            .list_resources(list)
            .await
            .unwrap()
            .into_inner()
            .resources
            .len(),
        1
    );
    let delete = DeleteResourceRequest {
        resource_id: "orders".into(),
    };
    bench.resources.delete_resource(bench.admin(delete)).await.unwrap();
    let get = GetResourceRequest {
        resource_id: "orders".into(),
    };
    assert_eq!(
        bench.resources.get_resource(bench.admin(get)).await.unwrap_err().code(),
        Code::NotFound
    );
}

#[tokio::test]
async fn what_is_wrong_has_its_field_path_and_its_code() {
    let bench = bench().await;
    let nothing = bench
        .applications
        .create_application(bench.admin(CreateApplicationRequest::default()))
        .await;
    let status = nothing.unwrap_err();
    assert_eq!(
        (status.code(), fields(&status)),
        (Code::InvalidArgument, strings(&["application"]))
    );

    let status = bench.create("user:x").await.unwrap_err();
    assert_eq!(
        (status.code(), fields(&status)),
        (Code::InvalidArgument, strings(&["application.client_id"]))
    );

    bench.create("shop").await.unwrap();
    let status = bench.create("shop").await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::AlreadyExists, "already_exists")
    );

    let update = UpdateApplicationRequest {
        application: Some(application("shop")),
        update_mask: None,
    };
    let status = bench
        .applications
        .update_application(bench.admin(update))
        .await
        .unwrap_err();
    assert_eq!(
        (status.code(), fields(&status)),
        (Code::InvalidArgument, strings(&["update_mask"]))
    );

    let list = ListUsersRequest {
        page_size: 1_001,
        page_token: "!".into(),
    };
    let status = bench.users.list_users(bench.admin(list)).await.unwrap_err();
    assert_eq!(fields(&status), ["page_size", "page_token"]);
}
