//! A stack that trusts somebody, and applications that may exchange.

use serde_json::{Value, json};
use tokenbind_proto::v1::{Application, BindingType, GrantType, IssueTokenRequest, IssueTokenResponse, TokenFormat};
use tokenbind_tests::{
    App, Ask as _, Backend, Behaviour, ForeignIssuer, ForeignKey, Resource, Stack, now, password, shop,
};
use tonic::Status;

/// The issuer id of every stack.
pub(crate) const OWN: &str = "http://localhost:7001";

/// What every test begins with.
pub(crate) struct Setting {
    pub(crate) stack: Stack,
    pub(crate) cluster: ForeignIssuer,
    pub(crate) key: ForeignKey,
    /// Logs carol in: one of each format.
    pub(crate) shops: [App; 2],
    /// May exchange, and binds: one of each format.
    pub(crate) carts: [App; 2],
    /// May exchange, and does not bind.
    pub(crate) plain: App,
    /// Has the grant, and no policy.
    pub(crate) bystander: App,
    pub(crate) api: Resource,
}

impl Setting {
    pub(crate) async fn start(backend: Backend) -> Self {
        let key = ForeignKey::new("key-1");
        let cluster = ForeignIssuer::start(Behaviour::Serve(key.jwks())).await;
        let stack = Stack::start_declaring(backend, &sections(&cluster)).await;
        stack.user("carol", "correct horse").await;
        let made = async |id: &str, format, binds: bool| {
            let application = Application {
                grants: [GrantType::Password, GrantType::TokenExchange, GrantType::JwtBearer]
                    .map(Into::into)
                    .into(),
                binding_type: if binds {
                    BindingType::ClientRequest
                } else {
                    BindingType::None
                }
                .into(),
                ..shop(id, format)
            };
            stack.create_app(application).await.unwrap()
        };
        let login = async |id: &str, format| {
            let mut application = shop(id, format);
            application.grants.push(GrantType::RefreshToken.into());
            stack.create_app(application).await.unwrap()
        };
        let shops = [
            login("login-jwt", TokenFormat::Jwt).await,
            login("login-opaque", TokenFormat::Opaque).await,
        ];
        let carts = [
            made("cart-jwt", TokenFormat::Jwt, true).await,
            made("cart-opaque", TokenFormat::Opaque, true).await,
        ];
        let plain = made("plain", TokenFormat::Jwt, false).await;
        let bystander = made("bystander", TokenFormat::Jwt, true).await;
        let accepted = [&shops[0], &shops[1], &carts[0], &carts[1], &plain, &bystander];
        let api = stack.api("api", &accepted).await;
        Self {
            stack,
            cluster,
            key,
            shops,
            carts,
            plain,
            bystander,
            api,
        }
    }

    /// What the cluster says of a service account for the next ten minutes.
    pub(crate) fn claims(&self, name: &str) -> Value {
        json!({"iss": self.cluster.url(), "sub": format!("system:{name}"), "aud": [OWN], "exp": now() + 600, "iat": now(),
            "jti": format!("{name}-1")})
    }

    /// The same with one claim changed.
    pub(crate) fn with(&self, name: &str, value: Value) -> Value {
        let mut claims = self.claims("cart");
        claims[name] = value;
        claims
    }

    /// The token of a service account.
    pub(crate) fn pod(&self, name: &str) -> String {
        self.key.sign(&self.claims(name))
    }

    /// A token of carol.
    pub(crate) async fn login(&self, shop: &App, binding_id: &str) -> String {
        let request = password("carol", "correct horse").bound_to(binding_id);
        self.stack.issue(shop, request).await.unwrap().access_token
    }

    pub(crate) async fn issue(&self, app: &App, request: IssueTokenRequest) -> Result<IssueTokenResponse, Status> {
        self.stack.issue(app, request).await
    }
}

/// The cluster's accounts, and carol through the shops, for the carts; accounts of the cluster may act for carol.
fn sections(cluster: &ForeignIssuer) -> String {
    let policy = |name: &str, rest: &str| {
        format!(
            "  - name: {name}\n    client_ids: [cart-jwt, cart-opaque, plain]\n    audiences: [orders-api, stock-api]\n    \
             scopes: [orders.read, orders.write]\n{rest}"
        )
    };
    let own = "    subject_client_ids: [login-jwt, login-opaque, cart-jwt, cart-opaque]\n";
    let accounts = "    subject_issuer: cluster\n    subjects: [\"system:*\"]\n";
    let actors = "    actor_issuer: cluster\n    actors: [\"system:*\"]\n";
    [
        "trusted_issuers:\n".to_owned(),
        format!(
            "  - name: cluster\n    issuer: {}\n    algorithms: [EdDSA]\n    jwks_uri: {}\n",
            cluster.url(),
            cluster.jwks_uri()
        ),
        "exchange_policies:\n".to_owned(),
        policy("users", own),
        policy("acting for users", &format!("{own}{actors}")),
        policy("accounts", accounts),
        policy("assertions", &format!("    grants: [jwt_bearer]\n{accounts}")),
    ]
    .concat()
}

/// Makes a test of each function, once for each backend.
#[macro_export]
macro_rules! in_every_setting {
    ($($name:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::setting::Setting::start(tokenbind_tests::Backend::Memory).await).await;
            })+
        }
        mod redis {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::setting::Setting::start(tokenbind_tests::Backend::Redis).await).await;
            })+
        }
    };
}
