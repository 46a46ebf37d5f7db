use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};
use tokenbind_index::Clock as _;
use tokenbind_jose::Algorithm;
use tokenbind_proto::index::v1::{ApplicationRecord, SecretDigest};
use tokenbind_proto::v1::client_authentication::Keys;
use tokenbind_proto::v1::{Application, ClientAuthentication, ClientAuthenticationMethod as Method, WorkloadIdentity};
use tokenbind_tests::{Behaviour, ForeignIssuer, ForeignKey};

use super::{PresentedClient, Proof, authenticate};
use crate::error::IssuerError;
use crate::test_support::{Harness, SECRET};
use crate::throttle::Peer;
use crate::trust::{IssuerKeys, Trust, TrustDeclaration, TrustedIssuer};

const OWN: &str = "https://issuer.example";
const CLUSTER: &str = "https://cluster.example";

struct Bench {
    harness: Harness,
    own: ForeignKey,
    cluster: ForeignKey,
}

async fn bench() -> Bench {
    let mut harness = Harness::new();
    let (own, cluster) = (ForeignKey::new("own"), ForeignKey::new("cluster"));
    let trusted = TrustedIssuer {
        name: "cluster".to_owned(),
        issuer: CLUSTER.to_owned(),
        audiences: vec!["tokenbind".to_owned()],
        algorithms: vec![Algorithm::EdDSA],
        keys: IssuerKeys::Set(cluster.jwks().to_string()),
        types: Vec::new(),
        subject_claim: "sub".to_owned(),
        max_lifetime_seconds: 3_600,
        max_age_seconds: 0,
    };
    let declaration = TrustDeclaration {
        issuers: vec![trusted],
        policies: Vec::new(),
    };
    let clock = Arc::clone(&harness.clock);
    harness.issuer.trust = Arc::new(Trust::new(declaration, clock).unwrap().into());
    let bench = Bench { harness, own, cluster };
    let keys = Some(Keys::JwksJson(bench.own.jwks().to_string()));
    bench.declare("secret", None).await;
    bench
        .declare("signs", Some(authentication(&[Method::PrivateKeyJwt], keys.clone())))
        .await;
    bench
        .declare(
            "both",
            Some(authentication(&[Method::PrivateKeyJwt, Method::Secret], keys)),
        )
        .await;
    let workload = ClientAuthentication {
        workload: Some(WorkloadIdentity {
            trusted_issuer: "cluster".to_owned(),
            subject: "system:cart".to_owned(),
        }),
        ..authentication(&[Method::WorkloadToken], None)
    };
    bench.declare("workload", Some(workload)).await;
    bench
        .declare("public", Some(authentication(&[Method::None], None)))
        .await;
    bench
}

fn authentication(methods: &[Method], keys: Option<Keys>) -> ClientAuthentication {
    ClientAuthentication {
        methods: methods.iter().map(|method| *method as i32).collect(),
        keys,
        workload: None,
        certificate: None,
    }
}

impl Bench {
    async fn declare(&self, client_id: &str, client_authentication: Option<ClientAuthentication>) {
        let application = Application {
            client_id: client_id.to_owned(),
            client_authentication,
            ..Application::default()
        };
        // Each has a secret, so that it is the method that decides.
        let sha256 = tokenbind_index::SecretHash::of(SECRET).as_bytes().to_vec();
        let record = ApplicationRecord {
            application: Some(application),
            secrets: vec![SecretDigest { sha256, expires_at: 0 }],
        };
        self.harness.record(&record).await;
    }

    async fn proves(&self, client_id: &str, proof: Proof) -> Result<(), IssuerError> {
        let presented = PresentedClient {
            client_id: client_id.to_owned(),
            proof,
            peer: Peer::default(),
        };
        authenticate(&self.harness.issuer, Some(&presented)).await.map(drop)
    }

    async fn asserts(&self, client_id: &str, assertion: &str) -> bool {
        match self
            .proves(client_id, Proof::Assertion(SecretString::from(assertion)))
            .await
        {
            Ok(()) => true,
            Err(IssuerError::InvalidClient) => false,
            Err(other) => panic!("{other}"),
        }
    }

    fn claims(&self, client_id: &str, jti: &str) -> Value {
        let now = self.harness.clock.now_seconds();
        json!({"iss": client_id, "sub": client_id, "aud": OWN, "exp": now + 60, "iat": now, "jti": jti})
    }

    fn pod(&self, subject: &str) -> String {
        let now = self.harness.clock.now_seconds();
        let claims = json!({"iss": CLUSTER, "sub": subject, "aud": ["tokenbind"], "exp": now + 3_600, "iat": now});
        self.cluster
            .sign_with(&json!({"alg": "EdDSA", "kid": "cluster"}), &claims)
    }
}

#[tokio::test]
async fn each_application_proves_itself_in_its_own_way_alone() {
    let bench = bench().await;
    for (client_id, secret, signed, pod, nothing) in [
        ("secret", true, false, false, false),
        ("signs", false, true, false, false),
        ("both", true, true, false, false),
        ("workload", false, false, true, false),
        ("public", false, false, false, true),
        ("unknown", false, false, false, false),
    ] {
        let by_secret = bench.proves(client_id, Proof::Secret(SecretString::from(SECRET))).await;
        assert_eq!(by_secret.is_ok(), secret, "{client_id}");
        let assertion = bench.own.sign(&bench.claims(client_id, "j"));
        assert_eq!(bench.asserts(client_id, &assertion).await, signed, "{client_id}");
        let shown = bench.asserts(client_id, &bench.pod("system:cart")).await;
        assert_eq!(shown, pod, "{client_id}");
        let by_name = bench.proves(client_id, Proof::None).await;
        assert_eq!(by_name.is_ok(), nothing, "{client_id}");
        for refused in [by_secret, by_name].into_iter().filter_map(Result::err) {
            assert_eq!(refused, IssuerError::InvalidClient);
        }
    }
}

#[tokio::test]
async fn c69_c71_c72_an_assertion_is_whole_for_this_issuer_alone_and_for_one_use() {
    let bench = bench().await;
    let now = bench.harness.clock.now_seconds();
    let cases = [
        ("iss", json!("both")),
        ("iss", json!(null)),
        ("sub", json!("both")),
        ("sub", json!(null)),
        ("aud", json!("https://issuer.example/token")),
        ("aud", json!([OWN, "https://other.example"])),
        ("aud", json!(null)),
        ("exp", json!(now)),
        ("exp", json!(now + 601)),
        ("exp", json!(null)),
        ("nbf", json!(now + 31)),
        ("jti", json!("")),
        ("jti", json!(null)),
    ];
    for (number, (name, value)) in cases.into_iter().enumerate() {
        let mut claims = bench.claims("signs", &format!("case-{number}"));
        claims[name] = value.clone();
        assert!(
            !bench.asserts("signs", &bench.own.sign(&claims)).await,
            "{name}: {value}"
        );
        let mut without = bench.claims("signs", &format!("without-{number}"));
        if name != "nbf" {
            without.as_object_mut().unwrap().remove(name);
            assert!(
                !bench.asserts("signs", &bench.own.sign(&without)).await,
                "without {name}"
            );
        }
    }
    let good = bench.own.sign(&bench.claims("signs", "once"));
    assert!(bench.asserts("signs", &good).await && !bench.asserts("signs", &good).await);
    // Another application's `jti` is not this one's.
    assert!(
        bench
            .asserts("both", &bench.own.sign(&bench.claims("both", "once")))
            .await
    );
    bench.harness.clock.advance(Duration::from_secs(60));
    assert!(!bench.asserts("signs", &good).await);
}

#[tokio::test]
async fn c61_a_bad_assertion_uses_nothing_up() {
    let bench = bench().await;
    let claims = bench.claims("signs", "j");
    let thief = ForeignKey::new("own");
    assert!(!bench.asserts("signs", &thief.sign(&claims)).await);
    assert!(!bench.asserts("signs", &thief.sign_by_hmac(&claims)).await);
    assert!(
        !bench
            .asserts(
                "signs",
                &bench.own.sign_with(&json!({"alg": "none", "kid": "own"}), &claims)
            )
            .await
    );
    let typ = json!({"alg": "EdDSA", "kid": "own", "typ": "at+jwt"});
    assert!(!bench.asserts("signs", &bench.own.sign_with(&typ, &claims)).await);
    let typ = json!({"alg": "EdDSA", "kid": "own", "typ": "client-authentication+jwt"});
    assert!(bench.asserts("signs", &bench.own.sign_with(&typ, &claims)).await);
}

#[tokio::test]
async fn a_workloads_token_is_shown_again_and_is_that_of_the_workload() {
    let bench = bench().await;
    let pod = bench.pod("system:cart");
    assert!(bench.asserts("workload", &pod).await && bench.asserts("workload", &pod).await);
    assert!(!bench.asserts("workload", &bench.pod("system:other")).await);
    // What the application signs itself is no token of the workload, whoever it says it is from.
    let own = bench.own.sign(&bench.claims("workload", "j"));
    assert!(!bench.asserts("workload", &own).await);
    assert!(
        !bench
            .asserts("workload", &bench.own.sign(&bench.claims(CLUSTER, "j")))
            .await
    );
}

#[tokio::test]
async fn keys_at_a_url_are_fetched_and_rotate() {
    let bench = bench().await;
    let server = ForeignIssuer::start(Behaviour::Serve(bench.own.jwks())).await;
    let keys = Some(Keys::JwksUri(server.jwks_uri()));
    bench
        .declare("remote", Some(authentication(&[Method::PrivateKeyJwt], keys)))
        .await;
    assert!(
        bench
            .asserts("remote", &bench.own.sign(&bench.claims("remote", "1")))
            .await
    );
    assert!(
        bench
            .asserts("remote", &bench.own.sign(&bench.claims("remote", "2")))
            .await
    );
    assert_eq!(server.requests().len(), 1);
    let next = ForeignKey::new("next");
    server.behave(Behaviour::Serve(next.jwks()));
    assert!(bench.asserts("remote", &next.sign(&bench.claims("remote", "3"))).await);
    assert!(
        !bench
            .asserts("remote", &bench.own.sign(&bench.claims("remote", "4")))
            .await
    );
}
