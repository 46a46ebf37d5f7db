//! What most tests of this suite begin with, and the requests of an administrator and of an application.

use tokenbind_proto::v1::{
    ListBindingsRequest, LiveBinding, RevokeApplicationRequest, RevokeApplicationResponse, RevokeBindingRequest,
    RevokeSubjectRequest, TokenFormat,
};
use tokenbind_tests::{App, Ask as _, Resource, Stack, client_credentials, password, with_authorization};
use tonic::{Request, Status};

/// Who asks.
#[derive(Clone, Copy)]
pub(crate) enum Caller<'a> {
    Admin,
    App(&'a App),
}

impl Caller<'_> {
    pub(crate) fn request<T>(self, stack: &Stack, message: T) -> Request<T> {
        match self {
            Self::Admin => stack.as_admin(message),
            Self::App(app) => with_authorization(message, &app.basic()),
        }
    }
}

/// Two applications, a resource that accepts both, and a user.
pub(crate) struct Shops {
    pub(crate) jwt: App,
    pub(crate) opaque: App,
    pub(crate) api: Resource,
}

pub(crate) const PASSWORD: &str = "correct horse";

impl Shops {
    pub(crate) async fn create(stack: &Stack) -> Self {
        let jwt = stack.shop("jwt", TokenFormat::Jwt).await;
        let opaque = stack.shop("opaque", TokenFormat::Opaque).await;
        let api = stack.api("api", &[&jwt, &opaque]).await;
        for name in ["ada", "bob"] {
            stack.user(name, PASSWORD).await;
        }
        Self { jwt, opaque, api }
    }

    pub(crate) fn both(&self) -> [&App; 2] {
        [&self.jwt, &self.opaque]
    }
}

/// A token of a user for a device.
pub(crate) async fn users(stack: &Stack, app: &App, username: &str, id: &str) -> String {
    let request = password(username, PASSWORD).bound_to(id);
    stack.issue(app, request).await.unwrap().access_token
}

/// A token of the application itself for a device.
pub(crate) async fn own(stack: &Stack, app: &App, id: &str) -> String {
    let request = client_credentials().bound_to(id);
    stack.issue(app, request).await.unwrap().access_token
}

/// R2; answers how many slots were emptied.
pub(crate) async fn revoke_binding(
    stack: &Stack,
    caller: Caller<'_>,
    subject: &str,
    client_id: &str,
    id: &str,
) -> Result<u64, Status> {
    let message = RevokeBindingRequest {
        subject: subject.to_owned(),
        client_id: client_id.to_owned(),
        token_binding_id: id.to_owned(),
    };
    let answer = stack.bindings().revoke_binding(caller.request(stack, message)).await?;
    Ok(answer.into_inner().revoked)
}

/// R3; answers how many slots were emptied.
pub(crate) async fn revoke_subject(
    stack: &Stack,
    caller: Caller<'_>,
    subject: &str,
    client_id: &str,
) -> Result<u64, Status> {
    let message = RevokeSubjectRequest {
        subject: subject.to_owned(),
        client_id: client_id.to_owned(),
    };
    let answer = stack.bindings().revoke_subject(caller.request(stack, message)).await?;
    Ok(answer.into_inner().revoked)
}

/// R4.
pub(crate) async fn revoke_application(
    stack: &Stack,
    caller: Caller<'_>,
    client_id: &str,
) -> Result<RevokeApplicationResponse, Status> {
    let message = RevokeApplicationRequest {
        client_id: client_id.to_owned(),
    };
    let request = caller.request(stack, message);
    Ok(stack.bindings().revoke_application(request).await?.into_inner())
}

/// R8, all pages.
pub(crate) async fn list(
    stack: &Stack,
    caller: Caller<'_>,
    subject: &str,
    client_id: &str,
    page_size: u32,
) -> Result<Vec<LiveBinding>, Status> {
    let mut message = ListBindingsRequest {
        subject: subject.to_owned(),
        client_id: client_id.to_owned(),
        page_size,
        page_token: String::new(),
    };
    let mut found = Vec::new();
    loop {
        let request = caller.request(stack, message.clone());
        let page = stack.bindings().list_bindings(request).await?.into_inner();
        assert!(page_size == 0 || page.bindings.len() <= page_size as usize);
        found.extend(page.bindings);
        if page.next_page_token.is_empty() {
            return Ok(found);
        }
        message.page_token = page.next_page_token;
    }
}
