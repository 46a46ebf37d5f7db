use secrecy::SecretString;
use tokenbind_proto::index::v1::{ApplicationRecord, SecretDigest};
use tokenbind_proto::v1::{ClaimMapping, GrantType, TokenFormat, claim_mapping};

use crate::application::Application;
use crate::client::Proof;
use crate::error::IssuerError;
use crate::grant::Password;
use crate::test_support::{Harness, SECRET, START_US, claims, client, request, request_for, text};
use crate::throttle::Peer;

#[tokio::test]
async fn a17_unknown_wrong_disabled_and_expired_clients_are_answered_alike() {
    let harness = Harness::new();
    harness.application("shop", TokenFormat::Jwt, |_| {}).await;
    harness
        .application("off", TokenFormat::Jwt, |it| it.disabled = true)
        .await;
    let mut wrong = request("shop", "");
    wrong.client.as_mut().unwrap().proof = Proof::Secret(SecretString::from("wrong"));
    let mut empty = request("shop", "");
    empty.client.as_mut().unwrap().proof = Proof::None;
    let mut nobody = request("shop", "");
    nobody.client = None;
    for refused in [request("unknown", ""), request("off", ""), wrong, empty, nobody] {
        assert_eq!(
            harness.issuer.issue_token(refused).await.unwrap_err(),
            IssuerError::InvalidClient
        );
    }
    harness.token("shop", "").await;
}

#[tokio::test]
async fn every_secret_is_good_until_it_ends() {
    let harness = Harness::new();
    harness.application("shop", TokenFormat::Jwt, |_| {}).await;
    let document =
        tokenbind_index::DocumentStore::document(&harness.memory, tokenbind_index::DocumentKind::Application, "shop");
    let document = document.await.unwrap().unwrap();
    let mut record: ApplicationRecord = prost::Message::decode(document.body.as_slice()).unwrap();
    let ends = i64::try_from(START_US / 1_000_000).unwrap() + 60;
    record.secrets[0].expires_at = ends;
    let newer = tokenbind_index::SecretHash::of("newer").as_bytes().to_vec();
    record.secrets.push(SecretDigest {
        sha256: newer,
        expires_at: 0,
    });
    harness.record(&record).await;

    let with = async |secret: &str| {
        let mut request = request("shop", "");
        request.client.as_mut().unwrap().proof = Proof::Secret(SecretString::from(secret));
        harness.issuer.issue_token(request).await.map(|_| ())
    };
    assert_eq!((with(SECRET).await, with("newer").await), (Ok(()), Ok(())));
    harness.clock.advance(std::time::Duration::from_secs(60));
    assert_eq!(
        (with(SECRET).await, with("newer").await),
        (Err(IssuerError::InvalidClient), Ok(()))
    );
}

#[tokio::test]
async fn a_grant_that_the_application_lacks_is_refused_before_its_credentials_are_looked_at() {
    let harness = Harness::new();
    let only = |grant: GrantType| move |it: &mut tokenbind_proto::v1::Application| it.grants = vec![grant.into()];
    harness
        .application("service", TokenFormat::Jwt, only(GrantType::ClientCredentials))
        .await;
    harness
        .application("login", TokenFormat::Jwt, only(GrantType::Password))
        .await;
    let error = harness
        .issuer
        .issue_token(request_for("service", "nobody", ""))
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "unauthorized_client");
    let error = harness.issuer.issue_token(request("login", "")).await.unwrap_err();
    assert_eq!(error.reason(), "unauthorized_client");
    let mut wrong = request("login", "");
    wrong.client = Some(crate::client::PresentedClient {
        proof: Proof::Secret(SecretString::from("wrong")),
        ..client("login")
    });
    assert_eq!(
        harness.issuer.issue_token(wrong).await.unwrap_err(),
        IssuerError::InvalidClient
    );
}

#[tokio::test]
async fn a17_unknown_disabled_and_wrong_users_are_answered_alike() {
    let harness = Harness::new();
    harness.application("shop", TokenFormat::Jwt, |_| {}).await;
    harness.user("alice", |_| {}).await;
    harness.user("off", |user| user.disabled = true).await;
    let mut wrong = request_for("shop", "alice", "");
    let password = SecretString::from("wrong");
    wrong.grant = Box::new(Password {
        username: "alice".to_owned(),
        password,
        peer: Peer::default(),
    });
    for refused in [request_for("shop", "nobody", ""), request_for("shop", "off", ""), wrong] {
        assert_eq!(
            harness.issuer.issue_token(refused).await.unwrap_err(),
            IssuerError::InvalidGrant
        );
    }
    let token = harness
        .issuer
        .issue_token(request_for("shop", "alice", ""))
        .await
        .unwrap();
    let said = claims(text(&token));
    assert_eq!(
        (&said["sub"], &said["aut"]),
        (&"user:alice".into(), &"APPLICATION_USER".into())
    );
}

fn mapping(name: &str, value: claim_mapping::Value) -> ClaimMapping {
    ClaimMapping {
        name: name.to_owned(),
        value: Some(value),
    }
}

#[tokio::test]
async fn mapped_claims_are_static_or_of_the_user_and_never_the_issuers_own() {
    let harness = Harness::new();
    let mappings = vec![
        mapping("tier", claim_mapping::Value::StaticValue("gold".to_owned())),
        mapping("mail", claim_mapping::Value::UserAttribute("email".to_owned())),
        mapping("phone", claim_mapping::Value::UserAttribute("phone".to_owned())),
        mapping("sub", claim_mapping::Value::StaticValue("root".to_owned())),
    ];
    for (client_id, format) in [("jwt", TokenFormat::Jwt), ("opaque", TokenFormat::Opaque)] {
        let mappings = mappings.clone();
        harness.application(client_id, format, |it| it.claims = mappings).await;
    }
    let attribute = ("email".to_owned(), "alice@example.com".to_owned());
    harness.user("alice", |user| user.attributes = [attribute].into()).await;

    let jwt = harness
        .issuer
        .issue_token(request_for("jwt", "alice", ""))
        .await
        .unwrap();
    let said = claims(text(&jwt));
    assert_eq!(
        (&said["tier"], &said["mail"], &said["sub"]),
        (&"gold".into(), &"alice@example.com".into(), &"user:alice".into())
    );
    assert!(said.get("phone").is_none());

    let opaque = harness
        .issuer
        .issue_token(request_for("opaque", "alice", ""))
        .await
        .unwrap();
    let kept = harness.live(text(&opaque)).await.unwrap().claims_json;
    let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
    assert_eq!(kept, serde_json::json!({"mail": "alice@example.com", "tier": "gold"}));

    let own = claims(text(&harness.token("jwt", "").await));
    assert_eq!((&own["tier"], own.get("mail")), (&"gold".into(), None));
}

#[tokio::test]
async fn a_jwt_that_no_validator_would_look_at_is_not_issued() {
    let harness = Harness::new();
    let long = |index: usize| {
        mapping(
            &format!("claim-{index}"),
            claim_mapping::Value::StaticValue("x".repeat(1_024)),
        )
    };
    harness
        .application("shop", TokenFormat::Jwt, |it| it.claims = (0..8).map(long).collect())
        .await;
    let error = harness.issuer.issue_token(request("shop", "")).await.unwrap_err();
    assert_eq!(error.reason(), "invalid_scope");
}

#[tokio::test]
async fn defaults_are_applied_when_an_application_is_read() {
    let harness = Harness::new();
    harness
        .application("shop", TokenFormat::Jwt, |it| {
            it.default_scopes = vec!["read".to_owned()];
        })
        .await;
    let application = Application::load(&harness.memory, "shop").await.unwrap().unwrap();
    assert_eq!((application.lifetime_seconds, application.limit), (3_600, None));
    assert_eq!(application.default_scopes.iter().collect::<Vec<_>>(), ["read"]);
    assert_eq!(application.default_audiences, application.audiences);
    assert!(Application::load(&harness.memory, "other").await.unwrap().is_none());
}
