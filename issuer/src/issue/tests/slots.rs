use std::time::Duration;

use tokenbind_proto::v1::{BindingLimitPolicy, BindingType, TokenFormat};

use crate::error::IssuerError;
use crate::test_support::{Harness, START_US, claims, fields, request, request_for, strings, text};

async fn shop(format: TokenFormat) -> Harness {
    let harness = Harness::new();
    harness.application("shop", format, |_| {}).await;
    harness
}

#[tokio::test]
async fn s1_s2_s3_s4_a_jwt_supersedes_its_slot_and_no_other() {
    let harness = shop(TokenFormat::Jwt).await;
    let unbound = harness.token("shop", "").await;
    let (x, y) = (harness.token("shop", "X").await, harness.token("shop", "Y").await);
    for first in [&unbound, &x, &y] {
        assert!(!first.superseded && !first.reused && first.expires_in == 3_600);
    }

    harness.clock.advance(Duration::from_secs(10));
    let again = harness.token("shop", "").await;
    assert!(again.superseded && again.expires_in == 3_600 && text(&again) != text(&unbound));
    assert!(harness.live(text(&unbound)).await.is_none());
    assert!(harness.live(text(&x)).await.is_some() && harness.live(text(&y)).await.is_some());

    let x_again = harness.token("shop", "X").await;
    assert!(x_again.superseded);
    assert!(harness.live(text(&x)).await.is_none());
    for live in [&again, &x_again, &y] {
        assert!(harness.live(text(live)).await.is_some());
    }
}

#[tokio::test]
async fn s5_s6_s7_s8_an_opaque_token_is_answered_again_with_what_remains() {
    let harness = shop(TokenFormat::Opaque).await;
    let unbound = harness.token("shop", "").await;
    let x = harness.token("shop", "X").await;
    assert!(!unbound.reused && !x.reused && text(&x) != text(&unbound));

    harness.clock.advance(Duration::from_millis(600_400));
    for (first, id) in [(&unbound, ""), (&x, "X")] {
        let again = harness.token("shop", id).await;
        assert_eq!(text(&again), text(first));
        assert_eq!((again.reused, again.superseded, again.expires_in), (true, false, 2_999));
        assert_eq!(again.revision, first.revision);
    }
    let y = harness.token("shop", "Y").await;
    assert!(!y.reused && y.expires_in == 3_600);
    assert!(harness.live(text(&x)).await.is_some());

    harness.clock.advance(Duration::from_secs(3_600));
    let fresh = harness.token("shop", "").await;
    assert!(!fresh.reused && !fresh.superseded && fresh.expires_in == 3_600 && text(&fresh) != text(&unbound));
}

#[tokio::test]
async fn s6_a_revoked_opaque_token_is_not_answered_again() {
    let harness = shop(TokenFormat::Opaque).await;
    let first = harness.token("shop", "X").await;
    let client = crate::test_support::client("shop");
    harness
        .issuer
        .revoke_token(Some(&client), &first.access_token)
        .await
        .unwrap();
    let second = harness.token("shop", "X").await;
    assert!(!second.reused && text(&second) != text(&first));
    assert!(harness.live(text(&first)).await.is_none());
}

#[tokio::test]
async fn s10_scopes_and_audiences_are_sets_and_a_subset_is_another_slot() {
    let harness = shop(TokenFormat::Opaque).await;
    let ask = async |scopes: &[&str], audiences: &[&str]| {
        let mut request = request("shop", "X");
        (request.scopes, request.audiences) = (strings(scopes), strings(audiences));
        harness.issuer.issue_token(request).await.unwrap()
    };
    let all = ask(&[], &[]).await;
    let permuted = ask(&["write", "read", "write"], &["stock", "orders", "stock"]).await;
    assert_eq!(text(&permuted), text(&all));
    assert_eq!(permuted.scopes.iter().collect::<Vec<_>>(), ["read", "write"]);
    for other in [ask(&["read"], &[]).await, ask(&[], &["stock"]).await] {
        assert!(!other.reused && text(&other) != text(&all));
    }
    assert!(harness.live(text(&all)).await.is_some());
}

#[tokio::test]
async fn s10_the_slot_is_of_what_is_granted() {
    let harness = shop(TokenFormat::Opaque).await;
    harness.user("alice", |user| user.scopes = strings(&["read"])).await;
    let mut narrowed = request_for("shop", "alice", "");
    narrowed.scopes = strings(&["read", "write"]);
    let first = harness.issuer.issue_token(narrowed).await.unwrap();
    assert_eq!(first.scopes.iter().collect::<Vec<_>>(), ["read"]);
    let mut asked = request_for("shop", "alice", "");
    asked.scopes = strings(&["read"]);
    assert_eq!(text(&harness.issuer.issue_token(asked).await.unwrap()), text(&first));

    let mut nothing_left = request_for("shop", "alice", "");
    nothing_left.scopes = strings(&["write"]);
    let error = harness.issuer.issue_token(nothing_left).await.unwrap_err();
    assert_eq!((error.reason(), fields(&error)), ("invalid_scope", vec!["scopes"]));
}

#[tokio::test]
async fn a_scope_or_audience_that_is_not_the_applications_is_named_by_its_index() {
    let harness = shop(TokenFormat::Jwt).await;
    let mut wrong = request("shop", "");
    wrong.scopes = strings(&["read", "admin", "write", "root"]);
    let error = harness.issuer.issue_token(wrong).await.unwrap_err();
    assert_eq!(
        (error.reason(), fields(&error)),
        ("invalid_scope", vec!["scopes[1]", "scopes[3]"])
    );

    let mut wrong = request("shop", "");
    wrong.audiences = strings(&["elsewhere"]);
    let error = harness.issuer.issue_token(wrong).await.unwrap_err();
    assert_eq!(
        (error.reason(), fields(&error)),
        ("invalid_target", vec!["audiences[0]"])
    );
}

#[tokio::test]
async fn s11_ids_are_compared_byte_for_byte_and_blank_is_unbound() {
    let harness = shop(TokenFormat::Opaque).await;
    let unbound = harness.token("shop", "").await;
    assert_eq!(unbound.binding_type, BindingType::None);
    for blank in [" ", "\t\r\n", "\u{3000}"] {
        assert_eq!(text(&harness.token("shop", blank).await), text(&unbound), "{blank:?}");
    }
    let long = "ä".repeat(127) + "x";
    let digest_of_a = harness.token("shop", "A").await.binding_ref.unwrap().encode();
    let ids = [
        "A",
        " A",
        "A ",
        "a",
        "é",
        "e\u{301}",
        "NONE",
        ":",
        "{",
        "\r\n:",
        "\0",
        &long,
        &digest_of_a,
    ];
    let mut seen = vec![text(&unbound).to_owned()];
    for id in ids {
        let token = harness.token("shop", id).await;
        assert!(!seen.contains(&text(&token).to_owned()), "{id:?}");
        assert_eq!(text(&harness.token("shop", id).await), text(&token), "{id:?}");
        seen.push(text(&token).to_owned());
    }
}

#[tokio::test]
async fn s12_only_client_request_looks_at_the_id_and_required_means_required() {
    let harness = Harness::new();
    harness
        .application("plain", TokenFormat::Opaque, |it| {
            it.binding_type = BindingType::None.into();
        })
        .await;
    let first = harness.token("plain", "X").await;
    assert_eq!((first.binding_type, first.binding_ref), (BindingType::None, None));
    assert_eq!(text(&harness.token("plain", "Y").await), text(&first));

    harness
        .application("strict", TokenFormat::Jwt, |it| it.require_binding = true)
        .await;
    let error = harness.issuer.issue_token(request("strict", " ")).await.unwrap_err();
    assert_eq!(
        (error.reason(), fields(&error)),
        ("invalid_request", vec!["token_binding_id"])
    );
    assert_eq!(
        harness.token("strict", "X").await.binding_type,
        BindingType::ClientRequest
    );
}

#[tokio::test]
async fn s15_a_token_with_less_than_a_second_left_is_not_answered_again() {
    for (left_ms, reused) in [(1_001, true), (1_000, true), (999, false)] {
        let harness = shop(TokenFormat::Opaque).await;
        let first = harness.token("shop", "X").await;
        harness.clock.advance(Duration::from_millis(3_600_000 - left_ms));
        let second = harness.token("shop", "X").await;
        assert_eq!(
            (second.reused, text(&second) == text(&first)),
            (reused, reused),
            "{left_ms} ms left"
        );
        assert_eq!(second.expires_in, if reused { 1 } else { 3_600 });
    }
}

#[tokio::test]
async fn s16_bindings_over_the_limit_are_refused_or_the_oldest_goes() {
    let harness = Harness::new();
    harness
        .application("reject", TokenFormat::Jwt, |it| it.max_bindings_per_subject = 2)
        .await;
    let (a, b) = (harness.token("reject", "A").await, harness.token("reject", "B").await);
    let error = harness.issuer.issue_token(request("reject", "C")).await.unwrap_err();
    assert_eq!(error, IssuerError::BindingLimitReached);
    assert!(harness.live(text(&a)).await.is_some() && harness.live(text(&b)).await.is_some());
    assert!(harness.token("reject", "A").await.superseded);

    let evict = |it: &mut tokenbind_proto::v1::Application| {
        it.max_bindings_per_subject = 2;
        it.binding_limit_policy = BindingLimitPolicy::EvictOldest.into();
    };
    harness.application("evict", TokenFormat::Opaque, evict).await;
    let mut tokens = Vec::new();
    for id in ["A", "B", "C"] {
        harness.clock.advance(Duration::from_millis(1));
        tokens.push(harness.token("evict", id).await);
    }
    assert!(harness.live(text(&tokens[0])).await.is_none());
    assert!(harness.live(text(&tokens[1])).await.is_some() && harness.live(text(&tokens[2])).await.is_some());
}

#[tokio::test]
async fn s17_a_change_touches_tokens_issued_from_then_on() {
    let harness = shop(TokenFormat::Opaque).await;
    let opaque = harness.token("shop", "X").await;
    harness
        .application("shop", TokenFormat::Opaque, |it| it.access_token_lifetime_seconds = 60)
        .await;
    let again = harness.token("shop", "X").await;
    assert_eq!((text(&again), again.expires_in), (text(&opaque), 3_600));
    assert_eq!(harness.token("shop", "Y").await.expires_in, 60);

    harness.application("shop", TokenFormat::Jwt, |_| {}).await;
    let jwt = harness.token("shop", "X").await;
    assert!(!jwt.superseded);
    assert!(harness.accepted(text(&opaque)).await && harness.accepted(text(&jwt)).await);
}

#[tokio::test]
async fn case_10_an_application_and_a_user_of_its_name_are_never_mixed() {
    let harness = shop(TokenFormat::Opaque).await;
    harness.user("shop", |_| {}).await;
    let application = harness.token("shop", "X").await;
    let user = harness
        .issuer
        .issue_token(request_for("shop", "shop", "X"))
        .await
        .unwrap();
    assert!(!user.reused && text(&user) != text(&application));
    let subject = async |token| harness.live(text(token)).await.unwrap().subject;
    assert_eq!(
        (subject(&application).await, subject(&user).await),
        ("shop".to_owned(), "user:shop".to_owned())
    );
}

#[tokio::test]
async fn a_jwt_says_what_it_is() {
    let harness = shop(TokenFormat::Jwt).await;
    let token = harness.token("shop", "X").await;
    let said = claims(text(&token));
    let now = START_US / 1_000_000;
    assert_eq!(said["iss"], "https://issuer.example");
    assert_eq!(
        (&said["sub"], &said["client_id"], &said["azp"]),
        (&"shop".into(), &"shop".into(), &"shop".into())
    );
    assert_eq!(said["aud"], serde_json::json!(["orders", "stock"]));
    assert_eq!(
        (&said["iat"], &said["nbf"], &said["exp"]),
        (&now.into(), &now.into(), &(now + 3_600).into())
    );
    assert_eq!(
        (&said["scope"], &said["aut"]),
        (&"read write".into(), &"APPLICATION".into())
    );
    assert_eq!(said["binding_type"], "client-request");
    assert_eq!(said["binding_ref"], token.binding_ref.unwrap().encode());
    assert!(said["jti"].as_str().is_some_and(|jti| jti.len() == 64));
    assert!(said.get("cnf").is_none());

    let mut one = request("shop", "");
    one.audiences = strings(&["stock"]);
    let unbound = claims(text(&harness.issuer.issue_token(one).await.unwrap()));
    assert_eq!(
        (&unbound["aud"], &unbound["binding_type"]),
        (&"stock".into(), &"none".into())
    );
    assert!(unbound.get("binding_ref").is_none());
}

#[tokio::test]
async fn a_certificate_bound_token_names_its_certificate_rfc_8705() {
    let harness = Harness::new();
    harness
        .application("mtls", TokenFormat::Jwt, |it| {
            it.binding_type = BindingType::Certificate.into();
        })
        .await;
    let error = harness.issuer.issue_token(request("mtls", "X")).await.unwrap_err();
    assert_eq!(
        (error.reason(), fields(&error)),
        ("invalid_request", vec!["client_certificate"])
    );

    let mut with_certificate = request("mtls", "");
    with_certificate.certificate_sha256 = Some([0xfb; 32]);
    let token = harness.issuer.issue_token(with_certificate).await.unwrap();
    let said = claims(text(&token));
    assert_eq!(said["binding_type"], "certificate");
    // C53: base64url without padding.
    assert_eq!(said["cnf"]["x5t#S256"], "-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_s");
    assert_eq!(harness.live(text(&token)).await.unwrap().certificate_sha256, [0xfb; 32]);
}
