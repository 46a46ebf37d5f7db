//! What an application signs itself (`private_key_jwt`).

use futures::future::join_all;
use serde_json::json;
use tokenbind_proto::v1::RevokeTokenRequest;
use tokenbind_tests::{
    Ask as _, Backend, Behaviour, Client, ForeignKey, client_credentials, fields, now, reason, with_authorization,
};
use tonic::Code;

use crate::in_every_setting;
use crate::setting::{ASSERTION_TYPE, OWN, Setting, asserting};

in_every_setting!(
    an_application_signs_instead_of_keeping_a_secret,
    c4_two_proofs_at_once_are_refused,
    c69_c70_c71_a_bad_client_assertion_is_an_invalid_client,
    c72_an_assertion_is_good_for_one_use_in_a_race_too,
    c33_c34_no_forged_client_assertion_passes,
    a17_whatever_is_wrong_is_answered_alike,
    keys_at_a_url_rotate,
);

async fn an_application_signs_instead_of_keeping_a_secret(setting: Setting) {
    setting.own_token("signs", &setting.signed("signs", "1")).await.unwrap();
    // The assertion says who it is from.
    let token = setting.own_token("", &setting.signed("signs", "2")).await.unwrap();
    // And revokes.
    let request = RevokeTokenRequest {
        token: token.access_token.clone(),
        client_id: "signs".to_owned(),
        client_assertion_type: ASSERTION_TYPE.to_owned(),
        client_assertion: setting.signed("signs", "3"),
        ..Default::default()
    };
    let again = setting.stack.tokens().revoke_token(request.clone()).await;
    again.unwrap();
    let error = setting.stack.tokens().revoke_token(request).await.unwrap_err();
    assert_eq!(reason(&error), "invalid_client");
}

async fn c4_two_proofs_at_once_are_refused(setting: Setting) {
    let assertion = setting.signed("signs", "1");
    let mut both = asserting(client_credentials(), "signs", &assertion);
    "secret".clone_into(&mut both.client_secret);
    let error = setting.stack.tokens().issue_token(both).await.unwrap_err();
    assert_eq!(
        (reason(&error).as_str(), fields(&error)),
        ("invalid_request", vec!["client_secret".to_owned()])
    );
    let basic = with_authorization(asserting(client_credentials(), "", &assertion), &setting.secret.basic());
    let error = setting.stack.tokens().issue_token(basic).await.unwrap_err();
    assert_eq!(reason(&error), "invalid_request");

    // Half of a proof.
    let mut untyped = asserting(client_credentials(), "signs", &assertion);
    untyped.client_assertion_type.clear();
    let mut empty = asserting(client_credentials(), "signs", "");
    empty.client_secret.clear();
    for request in [untyped, empty] {
        let error = setting.stack.tokens().issue_token(request).await.unwrap_err();
        assert_eq!(fields(&error), ["client_assertion_type"]);
    }
    let mut unknown = asserting(client_credentials(), "signs", &assertion);
    "urn:ietf:params:oauth:client-assertion-type:saml2-bearer".clone_into(&mut unknown.client_assertion_type);
    let error = setting.stack.tokens().issue_token(unknown).await.unwrap_err();
    assert_eq!(reason(&error), "invalid_client");
    setting.own_token("signs", &assertion).await.unwrap();
}

async fn c69_c70_c71_a_bad_client_assertion_is_an_invalid_client(setting: Setting) {
    let good = Setting::claims("signs", "good");
    for (name, value) in [
        ("iss", json!("remote")),
        ("sub", json!("remote")),
        ("aud", json!(format!("{OWN}/"))),
        ("aud", json!(format!("{OWN}/token"))),
        ("aud", json!([OWN, "https://other.example"])),
        ("exp", json!(now())),
        ("exp", json!(now() + 700)),
        ("exp", json!((now() + 60).to_string())),
        ("nbf", json!(now() + 600)),
        ("jti", json!("")),
    ] {
        let mut claims = good.clone();
        claims[name] = value.clone();
        let error = setting
            .own_token("signs", &setting.own.sign(&claims))
            .await
            .unwrap_err();
        assert_eq!(
            (error.code(), reason(&error).as_str()),
            (Code::Unauthenticated, "invalid_client"),
            "{name} {value}"
        );
    }
    for name in ["iss", "sub", "aud", "exp", "jti"] {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().remove(name);
        let error = setting
            .own_token("signs", &setting.own.sign(&claims))
            .await
            .unwrap_err();
        assert_eq!(reason(&error), "invalid_client", "without {name}");
    }
    setting.own_token("signs", &setting.own.sign(&good)).await.unwrap();
}

async fn c72_an_assertion_is_good_for_one_use_in_a_race_too(setting: Setting) {
    let assertion = setting.signed("signs", "1");
    let answers = join_all((0..32).map(|_| setting.own_token("signs", &assertion))).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    for error in answers.into_iter().filter_map(Result::err) {
        assert_eq!(reason(&error), "invalid_client");
    }
    setting.own_token("signs", &setting.signed("signs", "2")).await.unwrap();
}

#[tokio::test]
async fn c72_an_assertion_that_one_issuer_took_no_other_takes() {
    let setting = Setting::start(Backend::Redis).await;
    let installation = setting.stack.installation.as_ref().unwrap();
    let (_process, address) = installation.start_issuer(&[]);
    let other = Client::new(&address, &address);
    let assertion = setting.signed("signs", "1");
    let request = || asserting(client_credentials(), "signs", &assertion);
    tokenbind_tests::wait_until("the other issuer serves", tokenbind_tests::DEADLINE, async || {
        let status = tokenbind_tests::health(&other.issuer, "").await;
        (status == Some(tonic_health::pb::health_check_response::ServingStatus::Serving)).then_some(())
    })
    .await;
    other.tokens().issue_token(request()).await.unwrap();
    let error = setting.stack.tokens().issue_token(request()).await.unwrap_err();
    assert_eq!(reason(&error), "invalid_client");
}

async fn c33_c34_no_forged_client_assertion_passes(setting: Setting) {
    let claims = Setting::claims("signs", "1");
    let thief = ForeignKey::new("own");
    let sink = tokenbind_tests::ForeignIssuer::start(Behaviour::Serve(thief.jwks())).await;
    let with = |key: &ForeignKey, name: &str, value| {
        let mut header = key.header();
        header[name] = value;
        key.sign_with(&header, &claims)
    };
    for forged in [
        thief.sign(&claims),
        with(&thief, "jwk", thief.jwk()),
        with(&thief, "jku", json!(sink.jwks_uri())),
        with(&setting.own, "alg", json!("none")),
        with(&setting.own, "crit", json!([])),
        with(&setting.own, "typ", json!("at+jwt")),
        setting.own.sign_by_hmac(&claims),
    ] {
        let error = setting.own_token("signs", &forged).await.unwrap_err();
        assert_eq!(reason(&error), "invalid_client");
    }
    assert_eq!(sink.requests().len(), 0);
    setting.own_token("signs", &setting.own.sign(&claims)).await.unwrap();
}

async fn a17_whatever_is_wrong_is_answered_alike(setting: Setting) {
    let mut answers = Vec::new();
    for (client_id, assertion) in [
        ("nobody", setting.signed("nobody", "1")),
        ("signs", ForeignKey::new("own").sign(&Setting::claims("signs", "1"))),
        ("with-secret", setting.signed("with-secret", "1")),
        ("workload", setting.signed("workload", "1")),
        ("signs", "x".to_owned()),
        ("", "a.b.c".to_owned()),
    ] {
        let error = setting.own_token(client_id, &assertion).await.unwrap_err();
        answers.push((error.code(), error.message().to_owned(), reason(&error)));
    }
    let wrong = client_credentials().by("with-secret", "wrong");
    let error = setting.stack.tokens().issue_token(wrong).await.unwrap_err();
    answers.push((error.code(), error.message().to_owned(), reason(&error)));
    let nothing = client_credentials().by("with-secret", "");
    let error = setting.stack.tokens().issue_token(nothing).await.unwrap_err();
    answers.push((error.code(), error.message().to_owned(), reason(&error)));
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    setting.own_token("signs", &setting.signed("signs", "1")).await.unwrap();
}

async fn keys_at_a_url_rotate(setting: Setting) {
    setting
        .own_token("remote", &setting.signed("remote", "1"))
        .await
        .unwrap();
    setting
        .own_token("remote", &setting.signed("remote", "2"))
        .await
        .unwrap();
    assert_eq!(setting.own_server.requests().len(), 1);
    let next = ForeignKey::new("next");
    setting.own_server.behave(Behaviour::Serve(next.jwks()));
    let claims = Setting::claims("remote", "3");
    setting.own_token("remote", &next.sign(&claims)).await.unwrap();
    let error = setting
        .own_token("remote", &setting.signed("remote", "4"))
        .await
        .unwrap_err();
    assert_eq!(reason(&error), "invalid_client");
}
