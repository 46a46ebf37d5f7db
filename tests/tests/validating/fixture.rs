//! What most tests of this suite begin with.

use tokenbind_proto::v1::{Presenter, TokenFormat, ValidateTokenRequest, ValidateTokenResponse};
use tokenbind_tests::{App, Ask as _, Resource, Stack, client_credentials};

/// One application of each format, and a resource that accepts both.
pub(crate) struct Shops {
    pub(crate) jwt: App,
    pub(crate) opaque: App,
    pub(crate) api: Resource,
}

impl Shops {
    pub(crate) async fn create(stack: &Stack) -> Self {
        let jwt = stack.shop("jwt", TokenFormat::Jwt).await;
        let opaque = stack.shop("opaque", TokenFormat::Opaque).await;
        let api = stack.api("api", &[&jwt, &opaque]).await;
        Self { jwt, opaque, api }
    }

    pub(crate) fn both(&self) -> [&App; 2] {
        [&self.jwt, &self.opaque]
    }
}

/// A token of the application itself for a device.
pub(crate) async fn issue(stack: &Stack, app: &App, id: &str) -> String {
    let request = client_credentials().bound_to(id);
    stack.issue(app, request).await.unwrap().access_token
}

/// A question about a token alone.
pub(crate) fn about(token: &str) -> ValidateTokenRequest {
    ValidateTokenRequest {
        token: token.to_owned(),
        ..Default::default()
    }
}

/// A question about a token that came with this id.
pub(crate) fn presented_with(token: &str, token_binding_id: &str) -> ValidateTokenRequest {
    let presenter = Presenter {
        token_binding_id: token_binding_id.to_owned(),
        ..Default::default()
    };
    ValidateTokenRequest {
        presenter: Some(presenter),
        ..about(token)
    }
}

/// A question about a token that this application presents.
pub(crate) fn presented_by(token: &str, client_id: &str) -> ValidateTokenRequest {
    let presenter = Presenter {
        client_id: client_id.to_owned(),
        ..Default::default()
    };
    ValidateTokenRequest {
        presenter: Some(presenter),
        ..about(token)
    }
}

/// The verdict in the parts that a service over HTTP acts on.
pub(crate) fn over_http(verdict: &ValidateTokenResponse) -> (u32, &str) {
    (verdict.http_status, &verdict.www_authenticate)
}
