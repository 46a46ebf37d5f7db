//! C17–C20: how a resource server that takes Bearer tokens answers (RFC 6750). Ours are asked over gRPC and tell it what to send; its
//! status and its challenge are theirs to pass on.

use tokenbind_proto::v1::{TokenFormat, ValidateTokenRequest};
use tokenbind_tests::{App, Resource, bearer, client_credentials, shop, with_authorization};

use crate::fixture::{INTROSPECT, REVOKE, Setting, TOKEN};

/// A resource server in front of the validator, as thin as can be: what it sends is what it was told.
async fn over_http(setting: &Setting, token: &str, scopes: &[&str]) -> (u32, String) {
    let question = ValidateTokenRequest {
        token: token.to_owned(),
        required_scopes: scopes.iter().map(ToString::to_string).collect(),
        ..Default::default()
    };
    let verdict = setting.stack.judge(&setting.api, question).await.unwrap();
    (verdict.http_status, verdict.www_authenticate)
}

/// Each `name=` of a challenge.
fn parameters(challenge: &str) -> Vec<&str> {
    let (_, rest) = challenge.split_once(' ').unwrap_or_default();
    rest.split(", ")
        .filter_map(|parameter| Some(parameter.split_once('=')?.0))
        .collect()
}

#[tokio::test]
async fn c17_to_c19_a_resource_server_is_told_what_to_send() {
    let setting = Setting::start().await;
    let good = setting.login(&setting.jwt, "phone").await.text("access_token");
    // C17
    assert_eq!(over_http(&setting, "", &[]).await, (401, "Bearer".to_owned()));
    // C18
    let dead = setting.login(&setting.jwt, "tablet").await.text("access_token");
    setting.login(&setting.jwt, "tablet").await;
    for token in ["x", &dead, &good[1..]] {
        let (status, challenge) = over_http(&setting, token, &[]).await;
        assert_eq!(status, 401);
        assert!(
            challenge.starts_with(r#"Bearer error="invalid_token", "#),
            "{challenge}"
        );
        // C19
        assert_eq!(parameters(&challenge), ["error", "error_description"]);
    }
    let (status, challenge) = over_http(&setting, &good, &["orders.write", "orders.read"]).await;
    let expected = r#"Bearer error="insufficient_scope", scope="orders.write orders.read""#;
    assert_eq!((status, challenge.as_str()), (403, expected));
    assert_eq!(parameters(&challenge), ["error", "scope"]);
    // V3: the 403 of the wrong application.
    let intruder: App = setting
        .stack
        .create_app(shop("intruder", TokenFormat::Jwt))
        .await
        .unwrap();
    let theirs = setting
        .stack
        .issue(&intruder, client_credentials())
        .await
        .unwrap()
        .access_token;
    assert_eq!(over_http(&setting, &theirs, &[]).await, (403, "Bearer".to_owned()));
    assert_eq!(over_http(&setting, &good, &["orders.read"]).await, (200, String::new()));
}

/// C20: our own endpoints take no token as authentication, and none from a URI.
#[tokio::test]
async fn c20_a_token_in_the_uri_is_refused() {
    let setting = Setting::start().await;
    let token = setting.login(&setting.jwt, "phone").await.text("access_token");
    let api: &Resource = &setting.api;
    for (server, path, authorization) in [
        (&setting.validator, INTROSPECT, api.basic()),
        (&setting.issuer, REVOKE, setting.jwt.basic()),
        (&setting.issuer, TOKEN, setting.jwt.basic()),
    ] {
        for query in [format!("access_token={token}"), format!("token={token}")] {
            let path = format!("{path}?{query}");
            let answer = server.post(&path, Some(&authorization), &[("token", &token)]).await;
            answer.assert_error(400, "invalid_request");
            assert!(!answer.body.contains(&token));
        }
        let answer = server.post(path, Some(&bearer(&token)), &[("token", &token)]).await;
        assert!([400, 401].contains(&answer.status), "{answer:?}");
    }
    // A18: it is in no log either.
    for process in &setting.stack.processes {
        assert!(!process.log().contains(&token[..40]), "the log has no token");
    }
    Setting::assert_active(&setting.introspect(&token).await);
    // Over gRPC the same token administers nothing.
    let request = with_authorization(tokenbind_proto::v1::RotateSigningKeyRequest::default(), &bearer(&token));
    setting.stack.keys().rotate_signing_key(request).await.unwrap_err();
    setting.assert_works().await;
}
