use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};
use tokenbind_index::{BindingId, BindingIndex as _, BindingValue, Clock, Subject};
use tokenbind_jose::Algorithm;
use tokenbind_proto::v1::{Application, BindingType, GrantType, TokenFormat};
use tokenbind_tests::ForeignKey;

use crate::error::IssuerError;
use crate::grant::{Grant, JwtBearer, ShownToken, TokenExchange};
use crate::issue::{IssueRequest, IssuedToken};
use crate::test_support::{Harness, START_US, claims, client, fields, request_for, strings, text};
use crate::trust::{ExchangePolicy, IssuerKeys, Party, Trust, TrustDeclaration, TrustedIssuer};

const NOW: u64 = START_US / 1_000_000;
const CLUSTER: &str = "https://cluster.example";
const OWN: &str = "https://issuer.example";

struct Bench {
    harness: Harness,
    key: ForeignKey,
}

fn issued(client_ids: &[&str]) -> Party {
    Party::Issued {
        client_ids: strings(client_ids),
    }
}

fn cluster(subjects: &[&str]) -> Party {
    Party::External {
        trusted_issuer: "cluster".to_owned(),
        subjects: strings(subjects),
    }
}

fn policy(client_ids: &[&str], subject: Party, actor: Option<Party>) -> ExchangePolicy {
    ExchangePolicy {
        name: "test".to_owned(),
        grants: vec![GrantType::TokenExchange],
        client_ids: strings(client_ids),
        subject,
        actor,
        scopes: strings(&["read"]),
        audiences: strings(&["orders", "stock"]),
    }
}

fn exchanger(application: &mut Application) {
    application.grants = vec![
        GrantType::Password.into(),
        GrantType::TokenExchange.into(),
        GrantType::JwtBearer.into(),
    ];
}

/// `shop` logs users in, `cart` and `cart-jwt` exchange.
async fn bench() -> Bench {
    let mut harness = Harness::new();
    let key = ForeignKey::new("key-1");
    let trusted = TrustedIssuer {
        name: "cluster".to_owned(),
        issuer: CLUSTER.to_owned(),
        audiences: Vec::new(),
        algorithms: vec![Algorithm::EdDSA],
        keys: IssuerKeys::Set(key.jwks().to_string()),
        types: Vec::new(),
        subject_claim: "sub".to_owned(),
        max_lifetime_seconds: 86_400,
        max_age_seconds: 0,
    };
    let carts = ["cart", "cart-jwt", "unbound"];
    let bearer = ExchangePolicy {
        grants: vec![GrantType::JwtBearer],
        ..policy(&carts, cluster(&["system:*"]), None)
    };
    let policies = vec![
        policy(&carts, issued(&["shop", "shop-jwt", "cart", "cart-jwt"]), None),
        policy(
            &carts,
            issued(&["shop", "shop-jwt", "cart", "cart-jwt"]),
            Some(cluster(&["system:*"])),
        ),
        policy(&carts, issued(&["shop"]), Some(issued(&["cart"]))),
        policy(&carts, cluster(&["system:*"]), None),
        bearer,
    ];
    let issuers = vec![trusted];
    let trust = Trust::new(
        TrustDeclaration { issuers, policies },
        Arc::clone(&harness.clock) as Arc<dyn Clock>,
    );
    harness.issuer.trust = Arc::new(trust.unwrap().into());
    harness.application("shop", TokenFormat::Opaque, |_| {}).await;
    harness.application("shop-jwt", TokenFormat::Jwt, |_| {}).await;
    harness.application("cart", TokenFormat::Opaque, exchanger).await;
    harness.application("cart-jwt", TokenFormat::Jwt, exchanger).await;
    let unbound = |it: &mut Application| {
        exchanger(it);
        it.binding_type = BindingType::None.into();
    };
    harness.application("unbound", TokenFormat::Jwt, unbound).await;
    harness.user("alice", |_| {}).await;
    Bench { harness, key }
}

fn shown(token: &str) -> ShownToken {
    ShownToken {
        token: SecretString::from(token),
        may_be_external: true,
    }
}

fn ask(client_id: &str, grant: impl Grant + 'static, binding_id: &str) -> IssueRequest {
    IssueRequest {
        client: Some(client(client_id)),
        grant: Box::new(grant),
        scopes: Vec::new(),
        audiences: Vec::new(),
        binding_id: BindingId::parse(binding_id).unwrap(),
        certificate_sha256: None,
    }
}

fn exchange(client_id: &str, subject: &str, actor: Option<&str>, binding_id: &str) -> IssueRequest {
    let presented = BindingId::parse(binding_id).unwrap().map(BindingValue::ClientRequest);
    let grant = TokenExchange {
        subject: shown(subject),
        actor: actor.map(shown),
        presented: presented.into_iter().collect(),
    };
    ask(client_id, grant, binding_id)
}

impl Bench {
    fn service(&self, name: &str, seconds: u64) -> String {
        let now = self.harness.clock.now_seconds();
        self.key.sign(
            &json!({"iss": CLUSTER, "sub": format!("system:{name}"), "aud": OWN, "exp": now + seconds, "iat": now,
            "jti": format!("{name}-{now}-{seconds}")}),
        )
    }

    async fn login(&self, client_id: &str, binding_id: &str) -> IssuedToken {
        let request = request_for(client_id, "alice", binding_id);
        self.harness.issuer.issue_token(request).await.unwrap()
    }

    async fn issue(&self, request: IssueRequest) -> Result<IssuedToken, IssuerError> {
        self.harness.issuer.issue_token(request).await
    }

    async fn act(&self, token: &IssuedToken) -> Value {
        match self.harness.live(text(token)).await.unwrap().act {
            Some(act) => serde_json::to_value(tokenbind_jose::Act(act)).unwrap(),
            None => claims(text(token))["act"].clone(),
        }
    }
}

#[tokio::test]
async fn c49_the_result_is_within_subject_and_policy_and_ends_no_later() {
    let bench = bench().await;
    for shop in ["shop", "shop-jwt"] {
        for cart in ["cart", "cart-jwt"] {
            let subject = bench.login(shop, "").await;
            bench.harness.clock.advance(Duration::from_secs(10));
            let result = bench.issue(exchange(cart, text(&subject), None, "")).await.unwrap();
            assert_eq!(result.scopes.iter().collect::<Vec<_>>(), ["read"], "{shop} {cart}");
            // Whole seconds, and some time for the write.
            assert!((3_585..=3_590).contains(&result.expires_in), "{}", result.expires_in);
            let live = bench.harness.live_token(text(&result)).await;
            assert_eq!(live.subject, Subject::User("alice".to_owned()));
            assert_eq!(live.client_id, cart);
            bench.harness.clock.advance(Duration::from_secs(3_600));
        }
    }
}

#[tokio::test]
async fn c49_a_narrow_subject_token_gives_a_narrow_result() {
    let bench = bench().await;
    let mut narrow = request_for("shop", "alice", "");
    narrow.scopes = strings(&["write"]);
    narrow.audiences = strings(&["stock"]);
    let subject = bench.issue(narrow).await.unwrap();
    let error = bench
        .issue(exchange("cart", text(&subject), None, ""))
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "invalid_scope");

    let mut narrow = request_for("shop", "alice", "");
    narrow.scopes = strings(&["read"]);
    narrow.audiences = strings(&["stock"]);
    let subject = bench.issue(narrow).await.unwrap();
    let mut wide = exchange("cart", text(&subject), None, "");
    wide.audiences = strings(&["stock", "orders"]);
    let error = bench.issue(wide).await.unwrap_err();
    assert_eq!(
        (error.reason(), fields(&error)),
        ("invalid_target", vec!["audiences[1]"])
    );
    let result = bench.issue(exchange("cart", text(&subject), None, "")).await.unwrap();
    let live = bench.harness.live_token(text(&result)).await;
    assert_eq!(live.audiences.into_iter().collect::<Vec<_>>(), ["stock"]);
}

#[tokio::test]
async fn s5_what_is_answered_again_does_not_outlive_the_subject_token() {
    let bench = bench().await;
    let first = bench
        .issue(exchange("cart", &bench.service("a", 100), None, ""))
        .await
        .unwrap();
    assert!((95..=100).contains(&first.expires_in));
    let longer = bench
        .issue(exchange("cart", &bench.service("a", 1_000), None, ""))
        .await
        .unwrap();
    assert!(longer.reused && text(&longer) == text(&first));
    let shorter = bench
        .issue(exchange("cart", &bench.service("a", 50), None, ""))
        .await
        .unwrap();
    assert!(!shorter.reused && shorter.expires_in <= 50);
    assert!(!bench.harness.accepted(text(&first)).await);
    let error = bench.issue(exchange("cart", &bench.service("a", 1), None, "")).await;
    assert_eq!(error.unwrap_err().reason(), "invalid_request");
}

#[tokio::test]
async fn c44_an_external_subject_is_none_of_ours_whatever_it_is_called() {
    let bench = bench().await;
    let result = bench
        .issue(exchange("cart-jwt", &bench.service("user:alice", 100), None, ""))
        .await
        .unwrap();
    let said = claims(text(&result));
    assert_eq!(
        (&said["sub"], &said["aut"]),
        (&"ext:cluster:system:user:alice".into(), &"EXTERNAL".into())
    );
    assert!(said.get("act").is_none());
}

#[tokio::test]
async fn delegation_names_the_actor_and_keeps_those_before_it_c50() {
    let bench = bench().await;
    for (shop, cart, other) in [("shop", "cart", "cart-jwt"), ("shop-jwt", "cart-jwt", "cart")] {
        let subject = bench.login(shop, "").await;
        let actor = bench.service("a", 100);
        let once = bench
            .issue(exchange(cart, text(&subject), Some(&actor), ""))
            .await
            .unwrap();
        let first = json!({"sub": "ext:cluster:system:a", "iss": CLUSTER});
        assert_eq!(bench.act(&once).await, first);
        // Neither exchange drops who acted.
        let plain = bench.issue(exchange(other, text(&once), None, "")).await.unwrap();
        assert_eq!(bench.act(&plain).await, first);
        let actor = bench.service("b", 100);
        let twice = bench
            .issue(exchange(other, text(&once), Some(&actor), ""))
            .await
            .unwrap();
        let second = json!({"sub": "ext:cluster:system:b", "iss": CLUSTER, "act": first});
        assert_eq!(bench.act(&twice).await, second);
        // Another chain is another slot.
        assert!(bench.harness.accepted(text(&plain)).await && bench.harness.accepted(text(&twice)).await);
        // A token that is delegated itself is nobody's own.
        let error = bench
            .issue(exchange(cart, text(&subject), Some(text(&once)), ""))
            .await
            .unwrap_err();
        assert_eq!(error.reason(), "invalid_request");
        bench.harness.clock.advance(Duration::from_secs(3_600));
    }
}

#[tokio::test]
async fn a_chain_of_actors_is_not_endless() {
    let bench = bench().await;
    let mut token = bench.login("shop", "").await;
    for step in 0..4 {
        let actor = bench.service(&format!("a{step}"), 100);
        let cart = ["cart", "cart-jwt"][step % 2];
        token = bench
            .issue(exchange(cart, text(&token), Some(&actor), ""))
            .await
            .unwrap();
    }
    let error = bench
        .issue(exchange("cart", text(&token), Some(&bench.service("z", 100)), ""))
        .await
        .unwrap_err();
    assert_eq!(
        (error.reason(), fields(&error)),
        ("invalid_request", vec!["token_exchange.actor_token"])
    );
}

#[tokio::test]
async fn c51_a_bound_subject_token_needs_its_proof_and_the_result_is_bound_to_the_same() {
    let bench = bench().await;
    for shop in ["shop", "shop-jwt"] {
        let subject = bench.login(shop, "phone").await;
        for wrong in ["", "tablet"] {
            let error = bench
                .issue(exchange("cart", text(&subject), None, wrong))
                .await
                .unwrap_err();
            assert_eq!(fields(&error), ["token_exchange.subject_token"]);
        }
        let error = bench
            .issue(exchange("unbound", text(&subject), None, "phone"))
            .await
            .unwrap_err();
        assert_eq!(error.reason(), "unauthorized_client");
        let result = bench
            .issue(exchange("cart", text(&subject), None, "phone"))
            .await
            .unwrap();
        assert_eq!(result.binding_type, BindingType::ClientRequest);
        bench.harness.clock.advance(Duration::from_secs(3_600));
    }
}

#[tokio::test]
async fn a_dead_subject_token_and_one_whose_user_is_gone_are_refused() {
    let bench = bench().await;
    let subject = bench.login("shop-jwt", "").await;
    let newer = bench.login("shop-jwt", "").await;
    let error = bench
        .issue(exchange("cart", text(&subject), None, ""))
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "invalid_request");
    assert!(bench.issue(exchange("cart", text(&newer), None, "")).await.is_ok());
    bench.harness.user("alice", |user| user.disabled = true).await;
    let error = bench.issue(exchange("cart", text(&newer), None, "")).await.unwrap_err();
    assert_eq!(error.reason(), "invalid_request");
}

#[tokio::test]
async fn a_token_that_is_revoked_while_it_is_exchanged_gives_nothing() {
    let bench = bench().await;
    for (shop, cart) in [("shop", "cart-jwt"), ("shop-jwt", "cart")] {
        let subject = bench.login(shop, "").await;
        let issuer = super::faults::dying(&bench.harness, text(&subject));
        let error = issuer
            .issue_token(exchange(cart, text(&subject), None, ""))
            .await
            .unwrap_err();
        assert_eq!(fields(&error), ["token_exchange.subject_token"]);
        let home = Subject::User("alice".to_owned()).home();
        let left = bench.harness.memory.list(home, None, 10).await.unwrap();
        assert!(left.tokens.is_empty(), "what was written is void");
        // The same on a token that lives.
        let subject = bench.login(shop, "").await;
        assert!(bench.issue(exchange(cart, text(&subject), None, "")).await.is_ok());
        bench.harness.clock.advance(Duration::from_secs(3_600));
    }
}

#[tokio::test]
async fn a_token_that_is_revoked_while_it_is_exchanged_into_its_own_slot_gives_nothing() {
    let bench = bench().await;
    for cart in ["cart-jwt", "cart"] {
        let narrow = |mut request: IssueRequest| {
            request.scopes = strings(&["read"]);
            request
        };
        let subject = bench.issue(narrow(request_for(cart, "alice", ""))).await.unwrap();
        let issuer = super::faults::dying(&bench.harness, text(&subject));
        let again = narrow(exchange(cart, text(&subject), None, ""));
        let error = issuer.issue_token(again).await.unwrap_err();
        assert_eq!(fields(&error), ["token_exchange.subject_token"], "{cart}");
        let home = Subject::User("alice".to_owned()).home();
        let left = bench.harness.memory.list(home, None, 10).await.unwrap();
        assert!(left.tokens.is_empty(), "what was written is void");
    }
}

#[tokio::test]
async fn exchanging_into_the_subject_tokens_own_slot_supersedes_it() {
    let bench = bench().await;
    let mut request = request_for("cart-jwt", "alice", "");
    request.scopes = strings(&["read"]);
    let subject = bench.issue(request).await.unwrap();
    let mut same = exchange("cart-jwt", text(&subject), None, "");
    same.scopes = strings(&["read"]);
    let result = bench.issue(same).await.unwrap();
    assert!(result.superseded && bench.harness.accepted(text(&result)).await);
    assert!(!bench.harness.accepted(text(&subject)).await);
}

#[tokio::test]
async fn c72_an_assertion_is_good_for_one_use_and_no_longer_than_it_lives() {
    let bench = bench().await;
    let assertion = bench.service("a", 300);
    let bearer = |assertion: &str| {
        ask(
            "cart-jwt",
            JwtBearer {
                assertion: assertion.into(),
            },
            "",
        )
    };
    let result = bench.issue(bearer(&assertion)).await.unwrap();
    assert!(result.expires_in <= 300);
    assert_eq!(claims(text(&result))["sub"], "ext:cluster:system:a");
    assert_eq!(
        bench.issue(bearer(&assertion)).await.unwrap_err(),
        IssuerError::InvalidGrant
    );
    // A forged one uses nothing up.
    let good = bench.service("b", 300);
    let forged = ForeignKey::new("key-1").sign(&claims(&good));
    assert_eq!(
        bench.issue(bearer(&forged)).await.unwrap_err(),
        IssuerError::InvalidGrant
    );
    assert!(bench.issue(bearer(&good)).await.is_ok());
    let nobody = bench
        .key
        .sign(&json!({"iss": CLUSTER, "sub": "other", "aud": OWN, "exp": NOW + 60, "jti": "x"}));
    assert_eq!(
        bench.issue(bearer(&nobody)).await.unwrap_err(),
        IssuerError::InvalidGrant
    );
}
