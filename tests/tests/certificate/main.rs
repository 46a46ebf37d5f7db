//! V8, RFC 8705: tokens that are bound to the client certificate of the connection over which they were issued.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

mod authority;
mod identity;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use tokenbind_proto::v1::{
    Application, BindingType, Decision, Presenter, Reason, Resource as Api, TokenFormat, ValidateTokenRequest,
    ValidateTokenResponse,
};
use tokenbind_tests::{
    App, Backend, Client, Process, Resource, Stack, api, client_credentials, fields, health, reason, shop, wait_until,
};
use tonic::Code;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic_health::pb::health_check_response::ServingStatus;

use crate::authority::{Authority, Certified};

/// A stack with a further issuer that serves TLS, and what is bound to certificates there.
struct Setting {
    stack: Stack,
    authority: Authority,
    address: String,
    _issuer: Process,
    jwt: App,
    opaque: App,
    api: Resource,
}

impl Setting {
    async fn start() -> Self {
        let stack = Stack::start(Backend::Redis).await;
        let authority = Authority::new();
        let installation = stack.installation.as_ref().unwrap();
        let arguments = authority.server_arguments();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let (issuer, address) = installation.start_issuer(&arguments);
        let bound = |name: &str, format| Application {
            binding_type: BindingType::Certificate.into(),
            ..shop(name, format)
        };
        let jwt = stack.create_app(bound("jwt", TokenFormat::Jwt)).await.unwrap();
        let opaque = stack.create_app(bound("opaque", TokenFormat::Opaque)).await.unwrap();
        let api = stack.api("api", &[&jwt, &opaque]).await;
        let setting = Self {
            stack,
            authority,
            address,
            _issuer: issuer,
            jwt,
            opaque,
            api,
        };
        let anonymous = setting.connect(None).issuer;
        wait_until("the issuer serves TLS", tokenbind_tests::DEADLINE, async || {
            (health(&anonymous, "").await == Some(ServingStatus::Serving)).then_some(())
        })
        .await;
        setting
    }

    /// A client that comes with this certificate, or with none.
    fn connect(&self, identity: Option<&Certified>) -> Client {
        let (_, port) = self.address.rsplit_once(':').unwrap();
        let mut tls = ClientTlsConfig::new().ca_certificate(self.authority.certificate());
        if let Some(identity) = identity {
            tls = tls.identity(identity.identity());
        }
        let endpoint = Endpoint::from_shared(format!("https://localhost:{port}")).unwrap();
        let issuer: Channel = endpoint.tls_config(tls).unwrap().connect_lazy();
        Client {
            issuer,
            ..self.stack.client()
        }
    }

    async fn judge(&self, token: &str, certificate_sha256: &[u8]) -> ValidateTokenResponse {
        let question = ValidateTokenRequest {
            token: token.to_owned(),
            presenter: Some(Presenter {
                certificate_sha256: certificate_sha256.to_vec(),
                ..Default::default()
            }),
            ..Default::default()
        };
        self.stack.judge(&self.api, question).await.unwrap()
    }
}

fn thumbprint(certified: &Certified) -> Vec<u8> {
    digest(&SHA256, &certified.der).as_ref().to_vec()
}

#[tokio::test]
async fn v8_a_token_is_good_with_its_certificate_alone() {
    let setting = Setting::start().await;
    let (one, other) = (setting.authority.certify("one"), setting.authority.certify("other"));
    for app in [&setting.jwt, &setting.opaque] {
        let issued = setting
            .connect(Some(&one))
            .issue(app, client_credentials())
            .await
            .unwrap();
        assert_eq!(issued.binding.unwrap().r#type(), BindingType::Certificate);
        let token = issued.access_token;

        let missing = setting.judge(&token, &[]).await;
        assert_eq!(
            (missing.reason(), missing.decision()),
            (Reason::ProofMissing, Decision::Unauthenticated)
        );
        let wrong = setting.judge(&token, &thumbprint(&other)).await;
        assert_eq!(
            (wrong.reason(), wrong.decision()),
            (Reason::ProofInvalid, Decision::Unauthenticated)
        );
        for refused in [missing, wrong] {
            assert_eq!(refused.http_status, 401);
            assert!(refused.www_authenticate.contains(r#"error="invalid_token""#));
        }
        let right = setting.judge(&token, &thumbprint(&one)).await;
        assert_eq!((right.reason(), right.decision()), (Reason::Valid, Decision::Allow));
        // C30, C53
        let found = setting.stack.introspect(&setting.api, &token).await.unwrap();
        assert_eq!(found.binding_type, "certificate");
        assert_eq!(found.cnf.unwrap().x5t_s256, URL_SAFE_NO_PAD.encode(thumbprint(&one)));
    }
}

#[tokio::test]
async fn c53_a_jwt_names_its_certificate() {
    let setting = Setting::start().await;
    let one = setting.authority.certify("one");
    let issued = setting
        .connect(Some(&one))
        .issue(&setting.jwt, client_credentials())
        .await
        .unwrap();
    let payload = issued.access_token.split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    assert_eq!(claims["cnf"]["x5t#S256"], URL_SAFE_NO_PAD.encode(thumbprint(&one)));
    assert_eq!(claims["binding_type"], "certificate");
}

#[tokio::test]
async fn s4_s7_each_certificate_has_slots_of_its_own() {
    let setting = Setting::start().await;
    let certificates = [setting.authority.certify("one"), setting.authority.certify("other")];
    let [one, other] = certificates.each_ref().map(|one| setting.connect(Some(one)));
    let first = one.issue(&setting.opaque, client_credentials()).await.unwrap();
    let again = one.issue(&setting.opaque, client_credentials()).await.unwrap();
    let others = other.issue(&setting.opaque, client_credentials()).await.unwrap();
    assert_eq!(first.access_token, again.access_token);
    assert_ne!(first.access_token, others.access_token);
    assert_ne!(first.binding, others.binding);
    let first = one.issue(&setting.jwt, client_credentials()).await.unwrap();
    let others = other.issue(&setting.jwt, client_credentials()).await.unwrap();
    let again = one.issue(&setting.jwt, client_credentials()).await.unwrap();
    assert!(again.superseded && !others.superseded);
    let verdict = setting.judge(&others.access_token, &thumbprint(&certificates[1])).await;
    assert_eq!(verdict.reason(), Reason::Valid);
    let verdict = setting.judge(&first.access_token, &thumbprint(&certificates[0])).await;
    assert_eq!(verdict.reason(), Reason::TokenSuperseded);
}

#[tokio::test]
async fn a_certificate_bound_application_needs_a_certificate() {
    let setting = Setting::start().await;
    for client in [setting.connect(None), setting.stack.client()] {
        let error = client.issue(&setting.jwt, client_credentials()).await.unwrap_err();
        assert_eq!(
            (error.code(), reason(&error).as_str()),
            (Code::InvalidArgument, "invalid_request")
        );
        assert_eq!(fields(&error).len(), 1, "{error:?}");
    }
    // One of an unknown authority does not even get a connection.
    let stranger = Authority::new().certify("one");
    let refused = setting
        .connect(Some(&stranger))
        .issue(&setting.jwt, client_credentials())
        .await;
    assert!(refused.unwrap_err().details().is_empty(), "no service has answered");
    let known = setting.authority.certify("one");
    setting
        .connect(Some(&known))
        .issue(&setting.jwt, client_credentials())
        .await
        .unwrap();
}

#[tokio::test]
async fn v14_a_resource_that_demands_certificates_gets_them() {
    let setting = Setting::start().await;
    let demanding = Api {
        accepted_binding_types: vec![BindingType::Certificate.into()],
        ..api("demanding", &[&setting.opaque])
    };
    let demanding = setting.stack.create_resource(demanding).await.unwrap();
    let one = setting.authority.certify("one");
    let issued = setting
        .connect(Some(&one))
        .issue(&setting.opaque, client_credentials())
        .await
        .unwrap();
    let question = ValidateTokenRequest {
        token: issued.access_token,
        presenter: Some(Presenter {
            certificate_sha256: thumbprint(&one),
            ..Default::default()
        }),
        ..Default::default()
    };
    let verdict = setting.stack.judge(&demanding, question).await.unwrap();
    assert_eq!(verdict.reason(), Reason::Valid);
}
