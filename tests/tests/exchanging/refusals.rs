//! What is not exchanged, and how that is told.

use serde_json::json;
use tokenbind_proto::v1::issue_token_request::Grant;
use tokenbind_proto::v1::{IssueTokenRequest, TokenExchangeGrant};
use tokenbind_tests::{ACCESS_TOKEN, Ask as _, ForeignKey, JWT, exchange, exchange_with, fields, now, reason};
use tonic::Code;

use crate::in_every_setting;
use crate::setting::{OWN, Setting};

in_every_setting!(
    c45_what_is_missing_or_contradicts_is_an_invalid_request,
    c46_an_invalid_subject_or_actor_token_is_an_invalid_request,
    a8_each_parameter_of_an_exchange_counts,
    c33_to_c40_no_forged_subject_token_passes,
);

fn altered(change: impl FnOnce(&mut TokenExchangeGrant), good: &IssueTokenRequest) -> IssueTokenRequest {
    let mut request = good.clone();
    if let Some(Grant::TokenExchange(grant)) = &mut request.grant {
        change(grant);
    }
    request
}

async fn c45_what_is_missing_or_contradicts_is_an_invalid_request(setting: Setting) {
    let cart = &setting.carts[0];
    let good = exchange(&setting.pod("cart"));
    let bad: [(&str, IssueTokenRequest); 8] = [
        ("subject_token", altered(|it| it.subject_token.clear(), &good)),
        (
            "subject_token",
            altered(|it| it.subject_token = "x".repeat(8_193), &good),
        ),
        ("subject_token_type", altered(|it| it.subject_token_type.clear(), &good)),
        (
            "subject_token_type",
            altered(|it| "jwt".clone_into(&mut it.subject_token_type), &good),
        ),
        (
            "actor_token_type",
            altered(|it| JWT.clone_into(&mut it.actor_token_type), &good),
        ),
        (
            "actor_token_type",
            altered(|it| it.actor_token = setting.pod("a"), &good),
        ),
        (
            "requested_token_type",
            altered(|it| JWT.clone_into(&mut it.requested_token_type), &good),
        ),
        (
            "requested_token_type",
            altered(
                |it| "urn:ietf:params:oauth:token-type:refresh_token".clone_into(&mut it.requested_token_type),
                &good,
            ),
        ),
    ];
    for (field, request) in bad {
        let error = setting.issue(cart, request).await.unwrap_err();
        assert_eq!(
            (error.code(), reason(&error).as_str()),
            (Code::InvalidArgument, "invalid_request")
        );
        assert_eq!(fields(&error), [format!("token_exchange.{field}")]);
    }
    let asked = altered(|it| ACCESS_TOKEN.clone_into(&mut it.requested_token_type), &good);
    setting.issue(cart, asked).await.unwrap();
}

async fn c46_an_invalid_subject_or_actor_token_is_an_invalid_request(setting: Setting) {
    let cart = &setting.carts[0];
    let carol = setting.login(&setting.shops[0], "").await;
    let revoked = setting.login(&setting.shops[1], "").await;
    setting.stack.revoke(&setting.shops[1], &revoked).await.unwrap();
    let expired = setting.key.sign(&setting.with("exp", json!(now() - 1)));
    for bad in ["x", "a.b.c", "tbo_x", &revoked, &expired] {
        let error = setting.issue(cart, exchange(bad)).await.unwrap_err();
        assert_eq!(reason(&error), "invalid_request");
        assert_eq!(fields(&error), ["token_exchange.subject_token"]);
        let error = setting.issue(cart, exchange_with(&carol, bad)).await.unwrap_err();
        assert_eq!(reason(&error), "invalid_request");
        assert_eq!(fields(&error), ["token_exchange.actor_token"]);
    }
    // An access token is one of ours; somebody else's JWT is not.
    let foreign = altered(
        |it| ACCESS_TOKEN.clone_into(&mut it.subject_token_type),
        &exchange(&setting.pod("cart")),
    );
    assert_eq!(
        reason(&setting.issue(cart, foreign).await.unwrap_err()),
        "invalid_request"
    );
    let ours = altered(
        |it| ACCESS_TOKEN.clone_into(&mut it.subject_token_type),
        &exchange(&carol),
    );
    setting.issue(cart, ours).await.unwrap();
}

/// Drops or alters one parameter after the other of an exchange that is allowed.
async fn a8_each_parameter_of_an_exchange_counts(setting: Setting) {
    let cart = &setting.carts[0];
    let carol = setting.login(&setting.shops[0], "").await;
    let good = exchange_with(&carol, &setting.pod("helper"));
    setting.issue(cart, good.clone()).await.unwrap();

    // Another application, with the grant and without it.
    for (app, expected) in [
        (&setting.bystander, "invalid_request"),
        (&setting.shops[0], "unauthorized_client"),
    ] {
        let error = setting.issue(app, good.clone()).await.unwrap_err();
        assert_eq!(reason(&error), expected);
    }
    // A subject or an actor that no policy names.
    let theirs = setting.login(&setting.bystander, "").await;
    let stranger = setting.key.sign(&setting.with("sub", json!("stranger")));
    for (subject, actor) in [
        (theirs.as_str(), setting.pod("helper")),
        (&stranger, String::new()),
        (&carol, stranger.clone()),
        // Only accounts of the cluster act.
        (&carol, carol.clone()),
        // Accounts of the cluster are not acted for.
        (&setting.pod("cart"), setting.pod("helper")),
    ] {
        let error = setting.issue(cart, exchange_with(subject, &actor)).await.unwrap_err();
        assert_eq!(reason(&error), "invalid_request");
    }
    // What the policy, the application or the subject token lacks.
    for audience in ["tokenbind", "other", "stock-api"] {
        let error = setting
            .issue(cart, good.clone().audiences(&[audience]))
            .await
            .unwrap_err();
        assert_eq!(reason(&error), "invalid_target", "{audience}");
    }
    for scope in ["orders.delete", "orders.write", "tokenbind.admin"] {
        let error = setting.issue(cart, good.clone().scopes(&[scope])).await.unwrap_err();
        assert_eq!(reason(&error), "invalid_scope", "{scope}");
    }
    setting.issue(cart, good).await.unwrap();
}

async fn c33_to_c40_no_forged_subject_token_passes(setting: Setting) {
    let cart = &setting.carts[0];
    let claims = setting.claims("cart");
    let key = &setting.key;
    let thief = ForeignKey::new("key-1");
    let header = |name: &str, value| {
        let mut header = key.header();
        header[name] = value;
        key.sign_with(&header, &claims)
    };
    let twice = claims.to_string().replacen('{', r#"{"sub":"system:cart","#, 1);
    let forged = [
        thief.sign(&claims),
        key.sign_by_hmac(&claims),
        header("alg", json!("none")),
        header("crit", json!([])),
        header("typ", json!("at+jwt")),
        header("kid", json!("../../key-1")),
        key.sign_text(&key.header().to_string(), &twice),
        format!("{}.x", key.sign(&claims)),
        key.sign(&setting.with("exp", json!((now() + 60).to_string()))),
        key.sign(&setting.with("nbf", json!(now() + 3_600))),
        key.sign(&setting.with("aud", json!("https://other.example"))),
        key.sign(&setting.with("iss", json!(format!("{}/", setting.cluster.url())))),
        key.sign(&setting.with("iss", json!(OWN))),
        key.sign(&setting.with("sub", json!(""))),
        key.sign(&setting.with("exp", json!(now() + 100_000))),
    ];
    for token in &forged {
        let error = setting.issue(cart, exchange(token)).await.unwrap_err();
        assert_eq!(reason(&error), "invalid_request");
        assert_eq!(fields(&error), ["token_exchange.subject_token"]);
    }
    setting.issue(cart, exchange(&key.sign(&claims))).await.unwrap();
}
