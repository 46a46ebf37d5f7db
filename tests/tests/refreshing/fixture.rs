//! What the tests of this suite begin with.

use tokenbind_proto::v1::{Application, GrantType, IssueTokenResponse, RefreshTokenSettings, TokenFormat};
use tokenbind_tests::{App, Ask as _, Client, Resource, Stack, password, refresh, shop};
use tonic::Status;

pub(crate) const PASSWORD: &str = "correct horse";
pub(crate) const FORMATS: [TokenFormat; 2] = [TokenFormat::Jwt, TokenFormat::Opaque];

/// The usual application, with refresh tokens that are answered again so often.
pub(crate) fn refreshing(client_id: &str, format: TokenFormat, grace_uses: u32) -> Application {
    let mut application = shop(client_id, format);
    application.grants.push(GrantType::RefreshToken.into());
    application.refresh_tokens = Some(RefreshTokenSettings {
        grace_seconds: Some(60),
        grace_uses: Some(grace_uses),
        ..Default::default()
    });
    application
}

/// Such an application, a resource that accepts it, and ada.
pub(crate) struct Shop {
    pub(crate) app: App,
    pub(crate) api: Resource,
}

impl Shop {
    pub(crate) async fn create(stack: &Stack, format: TokenFormat, grace_uses: u32) -> Self {
        let app = stack.create_app(refreshing("shop", format, grace_uses)).await.unwrap();
        let api = stack.api("api", &[&app]).await;
        stack.user("ada", PASSWORD).await;
        Self { app, api }
    }

    pub(crate) async fn login(&self, client: &Client, device: &str) -> IssueTokenResponse {
        let request = password("ada", PASSWORD).bound_to(device);
        client.issue(&self.app, request).await.unwrap()
    }

    pub(crate) async fn refresh(
        &self,
        client: &Client,
        token: &IssueTokenResponse,
    ) -> Result<IssueTokenResponse, Status> {
        client.issue(&self.app, refresh(&token.refresh_token)).await
    }
}
