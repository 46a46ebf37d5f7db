//! A directory that works.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tokenbind_proto::v1::{ClaimMapping, Reason, RevokeSubjectRequest, TokenFormat, claim_mapping};
use tokenbind_tests::{App, Ask as _, Stack, password, reason, shop};
use tonic::Code;
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

use crate::server::{DirectoryServer, PASSWORD};

pub(crate) async fn stack(directory: &DirectoryServer, arguments: &[&str]) -> Stack {
    let url = format!("grpc://{}", directory.address);
    Stack::redis(&[&["--user-directory", &url], arguments].concat(), &[]).await
}

/// A shop that tells the user's mail address.
async fn telling(stack: &Stack) -> App {
    let mut application = shop("shop", TokenFormat::Jwt);
    application.claims = vec![ClaimMapping {
        name: "mail".to_owned(),
        value: Some(claim_mapping::Value::UserAttribute("mail".to_owned())),
    }];
    stack.create_app(application).await.unwrap()
}

#[tokio::test]
async fn a_user_elsewhere_gets_tokens_under_the_same_rules() {
    let directory = DirectoryServer::start(None);
    let stack = stack(&directory, &[]).await;
    let app = telling(&stack).await;
    let api = stack.api("api", &[&app]).await;
    let issued = stack.issue(&app, password("Alice", PASSWORD)).await.unwrap();
    let asked = directory.last();
    assert_eq!((asked.username.as_str(), asked.client_id.as_str()), ("Alice", "shop"));
    let verdict = stack.validate(&api, &issued.access_token).await;
    let token = verdict.token.unwrap();
    assert_eq!(token.subject, "user:alice", "as the directory writes it");
    let claims = format!("{:?}", token.claims);
    assert!(claims.contains("alice@example.com"), "{claims}");
    assert_eq!(issued.scopes, ["orders.read"]);
    let wider = password("alice", PASSWORD).scopes(&["orders.write"]);
    let error = stack.issue(&app, wider).await.unwrap_err();
    assert_eq!(reason(&error), "invalid_scope");

    // S3, however she writes her name: one subject, one slot.
    let next = stack.issue(&app, password("ALICE", PASSWORD)).await.unwrap();
    assert!(next.superseded);
    stack
        .assert_dead(&api, &issued.access_token, Reason::TokenSuperseded)
        .await;
    // R3.
    let request = stack.as_admin(RevokeSubjectRequest {
        subject: "user:alice".to_owned(),
        ..Default::default()
    });
    assert_eq!(
        stack
            .bindings()
            .revoke_subject(request)
            .await
            .unwrap()
            .into_inner()
            .revoked,
        1
    );
    stack.assert_dead(&api, &next.access_token, Reason::TokenNotLive).await;
}

#[tokio::test]
async fn c12_a_refusal_is_an_invalid_grant_and_counts() {
    let directory = DirectoryServer::start(None);
    let stack = stack(&directory, &[]).await;
    let app = stack.shop("shop", TokenFormat::Jwt).await;
    // Users of the index are not asked: one of the same name opens nothing.
    stack.user("alice", "the builtin one").await;
    for secret in ["wrong", "the builtin one"] {
        let error = stack.issue(&app, password("alice", secret)).await.unwrap_err();
        assert_eq!(
            (error.code(), reason(&error).as_str()),
            (Code::Unauthenticated, "invalid_grant")
        );
    }
    for _ in 2..11 {
        let error = stack.issue(&app, password("alice", "wrong")).await.unwrap_err();
        assert_eq!(reason(&error), "invalid_grant");
    }
    let asked = directory.asked();
    let error = stack.issue(&app, password("alice", PASSWORD)).await.unwrap_err();
    assert_eq!(reason(&error), "too_many_attempts");
    assert_eq!(directory.asked(), asked, "who is held up does not reach the directory");
    let other = stack.issue(&app, password("bob", PASSWORD)).await.unwrap_err();
    assert_eq!(reason(&other), "invalid_grant");
}

/// Certificates of a directory and of its callers.
struct Certificates {
    authority: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Certificates {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self {
            authority: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// Certificate and key, as PEM.
    fn certify(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn file(&self, name: &str, content: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn over_tls_both_ends_prove_who_they_are() {
    let (ours, others) = (Certificates::new(), Certificates::new());
    let (certificate, key) = ours.certify("localhost");
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(certificate, key))
        .client_ca_root(Certificate::from_pem(ours.authority.pem()));
    let directory = DirectoryServer::start(Some(tls));
    let url = format!("grpcs://localhost:{}", directory.address.port());
    let (certificate, key) = ours.certify("issuer");
    let (certificate, key) = (ours.file("cert", &certificate), ours.file("key", &key));
    let (ca, other_ca) = (
        ours.file("ca", &ours.authority.pem()),
        others.file("ca", &others.authority.pem()),
    );
    let identity = ["--user-directory-cert", &certificate, "--user-directory-key", &key];
    for (ca, identity, works) in [
        (&ca, &identity[..], true),
        (&ca, &[][..], false),
        (&other_ca, &identity[..], false),
    ] {
        let arguments = [&["--user-directory", &url, "--user-directory-ca", ca], identity].concat();
        let stack = Stack::redis(&arguments, &[]).await;
        let app = stack.shop("shop", TokenFormat::Jwt).await;
        match stack.issue(&app, password("alice", PASSWORD)).await {
            Ok(_) => assert!(works),
            Err(error) => {
                assert!(!works, "{error:?}");
                assert_eq!(error.code(), Code::Unavailable);
            }
        }
    }
}
