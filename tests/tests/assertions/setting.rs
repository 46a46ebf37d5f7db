//! Applications that prove themselves in each way there is.

use serde_json::{Value, json};
use tokenbind_proto::v1::client_authentication::Keys;
use tokenbind_proto::v1::{
    Application, ClientAuthentication, ClientAuthenticationMethod as Method, GrantType, IssueTokenRequest,
    IssueTokenResponse, TokenFormat, WorkloadIdentity,
};
use tokenbind_tests::{App, Backend, Behaviour, ForeignIssuer, ForeignKey, Stack, client_credentials, now, shop};
use tonic::Status;

/// The issuer id of every stack.
pub(crate) const OWN: &str = "http://localhost:7001";
/// The only kind of client assertion.
pub(crate) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What every test begins with.
pub(crate) struct Setting {
    pub(crate) stack: Stack,
    pub(crate) cluster: ForeignKey,
    pub(crate) cluster_server: ForeignIssuer,
    pub(crate) own: ForeignKey,
    pub(crate) own_server: ForeignIssuer,
    /// Has a secret.
    pub(crate) secret: App,
}

impl Setting {
    pub(crate) async fn start(backend: Backend) -> Self {
        let (cluster, own) = (ForeignKey::new("cluster"), ForeignKey::new("own"));
        let cluster_server = ForeignIssuer::start(Behaviour::Serve(cluster.jwks())).await;
        let own_server = ForeignIssuer::start(Behaviour::Serve(own.jwks())).await;
        let sections = format!(
            "trusted_issuers:\n  - name: cluster\n    issuer: {}\n    algorithms: [EdDSA]\n    jwks_uri: {}\n\
             exchange_policies:\n  - name: assertions\n    grants: [jwt_bearer, token_exchange]\n    \
             client_ids: [with-secret, signs]\n    subject_issuer: cluster\n    \
             subjects: [\"system:cart\", \"robot-*\"]\n    audiences: [orders-api]\n    scopes: [orders.read]\n  \
             - name: delegation\n    client_ids: [with-secret]\n    subject_issuer: cluster\n    subjects: [\"robot-*\"]\n    \
             actor_issuer: cluster\n    actors: [\"system:cart\"]\n    audiences: [orders-api]\n    scopes: [orders.read]\n",
            cluster_server.url(),
            cluster_server.jwks_uri()
        );
        let stack = Stack::start_declaring(backend, &sections).await;
        let secret = stack.create_app(application("with-secret", None)).await.unwrap();
        let setting = Self {
            stack,
            cluster,
            cluster_server,
            own,
            own_server,
            secret,
        };
        let inline = Some(Keys::JwksJson(setting.own.jwks().to_string()));
        setting.declare("signs", &[Method::PrivateKeyJwt], inline, None).await;
        let remote = Some(Keys::JwksUri(setting.own_server.jwks_uri()));
        setting.declare("remote", &[Method::PrivateKeyJwt], remote, None).await;
        let workload = WorkloadIdentity {
            trusted_issuer: "cluster".to_owned(),
            subject: "system:cart".to_owned(),
        };
        setting
            .declare("workload", &[Method::WorkloadToken], None, Some(workload))
            .await;
        setting
    }

    async fn declare(
        &self,
        client_id: &str,
        methods: &[Method],
        keys: Option<Keys>,
        workload: Option<WorkloadIdentity>,
    ) {
        let authentication = ClientAuthentication {
            methods: methods.iter().map(|method| *method as i32).collect(),
            keys,
            workload,
            certificate: None,
        };
        let made = self
            .stack
            .create_app(application(client_id, Some(authentication)))
            .await
            .unwrap();
        assert_eq!(made.secret, "", "{client_id} has no use for a secret");
    }

    /// What an application says of itself for a minute.
    pub(crate) fn claims(client_id: &str, jti: &str) -> Value {
        json!({"iss": client_id, "sub": client_id, "aud": OWN, "exp": now() + 60, "iat": now(), "jti": jti})
    }

    /// The same, signed by the application's key.
    pub(crate) fn signed(&self, client_id: &str, jti: &str) -> String {
        self.own.sign(&Self::claims(client_id, jti))
    }

    /// What the cluster says of one of its accounts for a while.
    pub(crate) fn account(&self, subject: &str, jti: &str) -> Value {
        json!({"iss": self.cluster_server.url(), "sub": subject, "aud": OWN, "exp": now() + 300, "iat": now(), "jti": jti})
    }

    /// A token of the application itself, on this assertion.
    pub(crate) async fn own_token(&self, client_id: &str, assertion: &str) -> Result<IssueTokenResponse, Status> {
        let request = asserting(client_credentials(), client_id, assertion);
        Ok(self.stack.tokens().issue_token(request).await?.into_inner())
    }
}

fn application(client_id: &str, client_authentication: Option<ClientAuthentication>) -> Application {
    Application {
        grants: [
            GrantType::ClientCredentials,
            GrantType::JwtBearer,
            GrantType::TokenExchange,
        ]
        .map(Into::into)
        .into(),
        client_authentication,
        ..shop(client_id, TokenFormat::Jwt)
    }
}

/// The request with an assertion of who asks.
pub(crate) fn asserting(mut request: IssueTokenRequest, client_id: &str, assertion: &str) -> IssueTokenRequest {
    client_id.clone_into(&mut request.client_id);
    ASSERTION_TYPE.clone_into(&mut request.client_assertion_type);
    assertion.clone_into(&mut request.client_assertion);
    request
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
