//! C26–C30: introspection (RFC 7662).

use tokenbind_proto::v1::{RevokeBindingRequest, TokenFormat};
use tokenbind_tests::{DEADLINE, basic, bearer, shop, wait_until, with_authorization};

use crate::fixture::{INTROSPECT, Setting};

#[tokio::test]
async fn c26_to_c28_only_who_may_know_is_told_and_nothing_of_dead_tokens() {
    let setting = Setting::start().await;
    let live = setting.login(&setting.jwt, "phone").await.text("access_token");
    // C26
    for authorization in [
        None,
        Some(basic("api", "wrong")),
        Some(basic("nobody", &setting.api.secret)),
        // An application is no resource.
        Some(setting.jwt.basic()),
        Some(bearer(&live)),
        Some(bearer(setting.stack.admin_token())),
        Some("Basic".to_owned()),
    ] {
        let authorization = authorization.as_deref();
        let answer = setting
            .validator
            .post(INTROSPECT, authorization, &[("token", &live)])
            .await;
        answer.assert_error(401, "invalid_client");
        assert!(answer.header("www-authenticate").starts_with("Basic "));
    }
    for form in [
        vec![],
        vec![("token", "")],
        vec![("token", "a"), ("token", "b")],
        vec![("token", &*"x".repeat(8_193))],
    ] {
        let answer = setting
            .validator
            .post(INTROSPECT, Some(&setting.api.basic()), &form)
            .await;
        answer.assert_error(400, "invalid_request");
    }
    // C27
    let superseded = setting.login(&setting.jwt, "tablet").await.text("access_token");
    setting.login(&setting.jwt, "tablet").await;
    let revoked = setting.login(&setting.opaque, "lost").await.text("access_token");
    let request = with_authorization(
        RevokeBindingRequest {
            subject: "user:ada".to_owned(),
            token_binding_id: "lost".to_owned(),
            ..Default::default()
        },
        &setting.opaque.basic(),
    );
    setting.stack.bindings().revoke_binding(request).await.unwrap();
    let mut short = shop("short", TokenFormat::Opaque);
    short.access_token_lifetime_seconds = 2;
    let short = setting.stack.create_app(short).await.unwrap();
    let short = setting
        .ask(&short, &[("grant_type", "client_credentials")])
        .await
        .text("access_token");
    let (body, signature) = live.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { 'B' } else { 'A' };
    let changed = format!("{body}.{other}{}", &signature[1..]);
    for dead in ["x", &superseded, &revoked, &changed, &live[1..], "a.b.c", "tbo_x"] {
        Setting::assert_inactive(&setting.introspect(dead).await);
    }
    // C29: until it ends, and not longer; nobody may keep an answer.
    wait_until("the token ends", DEADLINE, async || {
        let answer = setting.introspect(&short).await;
        answer.assert_uncached();
        (answer.json()["active"] == false).then(|| Setting::assert_inactive(&answer))
    })
    .await;
    // C28
    let mut elsewhere = tokenbind_tests::api("elsewhere", &[]);
    elsewhere.audiences = vec!["elsewhere".to_owned()];
    let elsewhere = setting.stack.create_resource(elsewhere).await.unwrap();
    let answer = setting
        .validator
        .post(INTROSPECT, Some(&elsewhere.basic()), &[("token", &live)])
        .await;
    Setting::assert_inactive(&answer);
    Setting::assert_active(&setting.introspect(&live).await);
    setting.assert_works().await;
}

/// What is told is what gRPC tells.
#[tokio::test]
async fn a_live_token_is_told_member_by_member() {
    let setting = Setting::start().await;
    for (app, has_issuer) in [(&setting.jwt, true), (&setting.opaque, false)] {
        let issued = setting.login(app, "phone").await;
        let token = issued.text("access_token");
        let answer = setting.introspect(&token).await;
        Setting::assert_active(&answer);
        let (told, grpc) = (
            answer.json(),
            setting.stack.introspect(&setting.api, &token).await.unwrap(),
        );
        for (member, expected) in [
            ("scope", &grpc.scope),
            ("client_id", &grpc.client_id),
            ("username", &grpc.username),
            ("token_type", &grpc.token_type),
            ("sub", &grpc.sub),
            ("jti", &grpc.jti),
            ("binding_type", &grpc.binding_type),
            ("binding_ref", &grpc.binding_ref),
            ("aut", &grpc.aut),
        ] {
            assert_eq!(told[member], expected.as_str(), "{member}");
        }
        assert_eq!(told["binding_ref"], issued.text("binding_ref"));
        assert_eq!(
            (told["sub"].as_str(), told["binding_type"].as_str()),
            (Some("user:ada"), Some("client-request"))
        );
        assert_eq!(told["aud"], serde_json::json!(["orders-api"]));
        assert_eq!(
            (told["exp"].as_i64(), told["iat"].as_i64(), told["nbf"].as_i64()),
            (Some(grpc.exp), Some(grpc.iat), Some(grpc.nbf))
        );
        assert_eq!(told.get("iss").is_some(), has_issuer);
        for absent in ["cnf", "act"] {
            assert!(told.get(absent).is_none(), "{absent}");
        }
    }
    setting.assert_works().await;
}
