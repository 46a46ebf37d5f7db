//! The trusted issuer's server: it rotates its keys, breaks, and lies.

use serde_json::json;
use tokenbind_tests::{
    Backend, Behaviour, DEADLINE, ForeignIssuer, ForeignKey, Stack, exchange, reason, retry_after, wait_until,
};
use tonic::Code;

use crate::in_every_setting;
use crate::setting::Setting;

in_every_setting!(
    a_rotated_key_is_good_at_once_and_the_old_one_is_not,
    c34_a2_a3_a_token_makes_nobody_call_anybody,
    a_broken_server_is_told_as_an_outage_and_recovered_from,
);

async fn a_rotated_key_is_good_at_once_and_the_old_one_is_not(setting: Setting) {
    let cart = &setting.carts[0];
    setting.issue(cart, exchange(&setting.pod("cart"))).await.unwrap();
    let next = ForeignKey::new("key-2");
    setting.cluster.behave(Behaviour::Serve(next.jwks()));
    let claims = setting.claims("cart");
    setting.issue(cart, exchange(&next.sign(&claims))).await.unwrap();
    let error = setting.issue(cart, exchange(&setting.pod("cart"))).await.unwrap_err();
    assert_eq!(reason(&error), "invalid_request");
}

async fn c34_a2_a3_a_token_makes_nobody_call_anybody(setting: Setting) {
    let cart = &setting.carts[0];
    setting.issue(cart, exchange(&setting.pod("cart"))).await.unwrap();
    let before = setting.cluster.requests().len();
    let thief = ForeignKey::new("key-1");
    let sink = ForeignIssuer::start(Behaviour::Serve(thief.jwks())).await;
    let claims = setting.claims("cart");
    for (name, value) in [
        ("jku", json!(sink.jwks_uri())),
        ("x5u", json!(sink.jwks_uri())),
        ("jwk", thief.jwk()),
    ] {
        let mut header = thief.header();
        header[name] = value;
        let error = setting
            .issue(cart, exchange(&thief.sign_with(&header, &claims)))
            .await
            .unwrap_err();
        assert_eq!(reason(&error), "invalid_request", "{name}");
    }
    let mut foreign = claims.clone();
    foreign["iss"] = json!(sink.url());
    let error = setting.issue(cart, exchange(&thief.sign(&foreign))).await.unwrap_err();
    assert_eq!(reason(&error), "invalid_request");
    assert_eq!(sink.requests().len(), 0, "nobody whom a token names is asked");
    // Names of keys that do not exist reach the trusted server at a capped rate, and never in the request itself.
    for number in 0..30 {
        let made_up = ForeignKey::new(&format!("made-up-{number}"));
        let error = setting.issue(cart, exchange(&made_up.sign(&claims))).await.unwrap_err();
        assert_eq!(reason(&error), "invalid_request");
    }
    let requests = setting.cluster.requests();
    assert!(requests.len() - before <= 6, "{} requests", requests.len());
    assert!(requests.iter().all(|head| head.starts_with("GET /jwks HTTP/1.1\r\n")));
    setting.issue(cart, exchange(&setting.pod("cart"))).await.unwrap();
}

async fn a_broken_server_is_told_as_an_outage_and_recovered_from(setting: Setting) {
    let cart = &setting.carts[0];
    setting.cluster.behave(Behaviour::Endless);
    let error = setting.issue(cart, exchange(&setting.pod("cart"))).await.unwrap_err();
    assert_eq!(
        (error.code(), reason(&error).as_str()),
        (Code::Unavailable, "temporarily_unavailable")
    );
    assert!(retry_after(&error).is_some());
    assert!(!error.message().contains("jwks"), "{error:?}");
    // Everything else goes on.
    let carol = setting.login(&setting.shops[0], "").await;
    setting.issue(cart, exchange(&carol)).await.unwrap();
    setting.cluster.behave(Behaviour::Serve(setting.key.jwks()));
    wait_until("the keys are fetched again", DEADLINE, async || {
        setting.issue(cart, exchange(&setting.pod("cart"))).await.ok()
    })
    .await;
}

#[tokio::test]
async fn an_issuer_starts_and_serves_while_nobody_trusted_answers() {
    let silent = ForeignIssuer::start(Behaviour::Silent).await;
    let sections = format!(
        "trusted_issuers:\n  - name: silent\n    issuer: {}\n    algorithms: [EdDSA]\n    jwks_uri: {}\n",
        silent.url(),
        silent.jwks_uri()
    );
    let stack = Stack::start_declaring(Backend::Redis, &sections).await;
    stack.ready().await;
    assert_eq!(silent.requests().len(), 0);
}
