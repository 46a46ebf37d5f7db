//! What every test of this suite begins with.

use tokenbind_proto::v1::{Application, GrantType, RefreshTokenSettings, TokenFormat};
use tokenbind_tests::{App, Backend, Http, HttpAnswer, Resource, Stack, shop};

pub(crate) const PASSWORD: &str = "correct horse";
pub(crate) const TOKEN: &str = "/oauth2/token";
pub(crate) const REVOKE: &str = "/oauth2/revoke";
pub(crate) const INTROSPECT: &str = "/oauth2/introspect";
pub(crate) const JWKS: &str = "/oauth2/jwks";
pub(crate) const METADATA: &str = "/.well-known/oauth-authorization-server";
pub(crate) const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub(crate) const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// The issuer id of every stack.
pub(crate) const OWN: &str = "http://localhost:7001";

/// A stack over Redis, and who is in it.
pub(crate) struct Setting {
    pub(crate) stack: Stack,
    pub(crate) issuer: Http,
    pub(crate) validator: Http,
    pub(crate) jwt: App,
    pub(crate) opaque: App,
    pub(crate) api: Resource,
}

impl Setting {
    pub(crate) async fn start() -> Self {
        Self::of(Stack::start(Backend::Redis).await).await
    }

    pub(crate) async fn of(stack: Stack) -> Self {
        let jwt = stack.create_app(every_grant("jwt", TokenFormat::Jwt)).await.unwrap();
        let opaque = stack
            .create_app(every_grant("opaque", TokenFormat::Opaque))
            .await
            .unwrap();
        let api = stack.api("api", &[&jwt, &opaque]).await;
        stack.user("ada", PASSWORD).await;
        Self {
            issuer: Http::new(&stack.issuer_address),
            validator: Http::new(&stack.validator_address),
            stack,
            jwt,
            opaque,
            api,
        }
    }

    /// Asks for a token, with the application's secret in the header.
    pub(crate) async fn ask(&self, app: &App, form: &[(&str, &str)]) -> HttpAnswer {
        self.issuer.post(TOKEN, Some(&app.basic()), form).await
    }

    /// A login of ada on a device.
    pub(crate) async fn login(&self, app: &App, device: &str) -> HttpAnswer {
        let form = [
            ("grant_type", "password"),
            ("username", "ada"),
            ("password", PASSWORD),
            ("tokenBindingId", device),
        ];
        let answer = self.ask(app, &form).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    }

    pub(crate) async fn introspect(&self, token: &str) -> HttpAnswer {
        self.validator
            .post(INTROSPECT, Some(&self.api.basic()), &[("token", token)])
            .await
    }

    #[track_caller]
    pub(crate) fn assert_active(answer: &HttpAnswer) {
        assert_eq!(
            (answer.status, &answer.json()["active"]),
            (200, &true.into()),
            "{answer:?}"
        );
    }

    /// C27.
    #[track_caller]
    pub(crate) fn assert_inactive(answer: &HttpAnswer) {
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (200, r#"{"active":false}"#),
            "{answer:?}"
        );
        answer.assert_uncached();
    }

    /// A negative test ends with this: the right request still works, and so does the same over gRPC on the same ports.
    pub(crate) async fn assert_works(&self) {
        let answer = self.ask(&self.opaque, &[("grant_type", "client_credentials")]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let token = answer.text("access_token");
        Self::assert_active(&self.introspect(&token).await);
        let request = tokenbind_tests::client_credentials();
        let again = self.stack.issue(&self.opaque, request).await.unwrap();
        assert_eq!(again.access_token, token);
        self.stack.assert_live(&self.api, &token).await;
    }
}

/// The usual application with every grant, and refresh tokens that are answered again a few times.
pub(crate) fn every_grant(client_id: &str, format: TokenFormat) -> Application {
    Application {
        grants: [
            GrantType::Password,
            GrantType::ClientCredentials,
            GrantType::RefreshToken,
            GrantType::TokenExchange,
            GrantType::JwtBearer,
        ]
        .map(Into::into)
        .into(),
        refresh_tokens: Some(RefreshTokenSettings {
            grace_seconds: Some(60),
            grace_uses: Some(3),
            ..Default::default()
        }),
        ..shop(client_id, format)
    }
}
