//! Assertions of a trusted issuer as authorization grants.

use serde_json::json;
use tokenbind_tests::{Ask as _, ForeignKey, jwt_bearer, now, reason};

use crate::in_every_setting;
use crate::setting::{OWN, Setting, asserting};

in_every_setting!(
    an_assertion_is_exchanged_for_a_token_of_its_subject,
    c70_a_bad_grant_assertion_is_an_invalid_grant,
    c72_a_grant_assertion_is_good_for_one_use,
);

async fn an_assertion_is_exchanged_for_a_token_of_its_subject(setting: Setting) {
    let api = setting.stack.api("api", &[&setting.secret]).await;
    let assertion = setting.cluster.sign(&setting.account("system:cart", "1"));
    let answer = setting
        .stack
        .issue(&setting.secret, jwt_bearer(&assertion))
        .await
        .unwrap();
    assert!((1..=300).contains(&answer.expires_in), "{}", answer.expires_in);
    assert_eq!(answer.scopes, ["orders.read"]);
    let facts = setting.stack.validate(&api, &answer.access_token).await.token.unwrap();
    assert_eq!(facts.subject, "ext:cluster:system:cart");
    assert_eq!(facts.audiences, ["orders-api"]);
    // By an application that signs as well: two assertions, each for its own.
    let grant = jwt_bearer(&setting.cluster.sign(&setting.account("robot-7", "2")));
    let request = asserting(grant, "signs", &setting.signed("signs", "2"));
    setting.stack.tokens().issue_token(request).await.unwrap();
}

async fn c70_a_bad_grant_assertion_is_an_invalid_grant(setting: Setting) {
    let with = |name: &str, value| {
        let mut claims = setting.account("system:cart", "bad");
        claims[name] = value;
        setting.cluster.sign(&claims)
    };
    let without = |name: &str| {
        let mut claims = setting.account("system:cart", "bad");
        claims.as_object_mut().unwrap().remove(name);
        setting.cluster.sign(&claims)
    };
    for bad in [
        "x".to_owned(),
        without("iss"),
        without("sub"),
        without("aud"),
        without("exp"),
        without("jti"),
        with("aud", json!("https://other.example")),
        // C71: an assertion that is also for somebody else could be used by them.
        with("aud", json!([OWN, "https://other.example"])),
        with("exp", json!(now())),
        with("nbf", json!(now() + 600)),
        with("iss", json!("https://other.example")),
        with("sub", json!("system:cart2")),
        ForeignKey::new("cluster").sign(&setting.account("system:cart", "bad")),
        setting.cluster.sign_by_hmac(&setting.account("system:cart", "bad")),
        // An application's own assertion is no grant.
        setting.signed("with-secret", "bad"),
    ] {
        let error = setting
            .stack
            .issue(&setting.secret, jwt_bearer(&bad))
            .await
            .unwrap_err();
        assert_eq!(reason(&error), "invalid_grant");
    }
    let good = setting.cluster.sign(&setting.account("system:cart", "bad"));
    let asked = jwt_bearer(&good).audiences(&["stock-api"]);
    let error = setting.stack.issue(&setting.secret, asked).await.unwrap_err();
    assert_eq!(reason(&error), "invalid_target");
    let good = setting.cluster.sign(&setting.account("system:cart", "good"));
    setting.stack.issue(&setting.secret, jwt_bearer(&good)).await.unwrap();
}

async fn c72_a_grant_assertion_is_good_for_one_use(setting: Setting) {
    let assertion = setting.cluster.sign(&setting.account("system:cart", "1"));
    setting
        .stack
        .issue(&setting.secret, jwt_bearer(&assertion))
        .await
        .unwrap();
    let error = setting
        .stack
        .issue(&setting.secret, jwt_bearer(&assertion))
        .await
        .unwrap_err();
    assert_eq!(reason(&error), "invalid_grant");
    // The same `jti` of the same issuer, signed again, is the same use.
    let again = setting.cluster.sign(&setting.account("robot-1", "1"));
    let error = setting
        .stack
        .issue(&setting.secret, jwt_bearer(&again))
        .await
        .unwrap_err();
    assert_eq!(reason(&error), "invalid_grant");
    let other = setting.cluster.sign(&setting.account("robot-1", "2"));
    setting.stack.issue(&setting.secret, jwt_bearer(&other)).await.unwrap();
}
