//! The token of a workload as proof: a pod needs no secret.

use serde_json::json;
use tokenbind_tests::{ForeignKey, now, reason};

use crate::in_every_setting;
use crate::setting::Setting;

in_every_setting!(
    a_workload_shows_the_token_that_its_platform_gave_it,
    another_workload_is_not_it
);

async fn a_workload_shows_the_token_that_its_platform_gave_it(setting: Setting) {
    // Without `typ`, for an hour and for several audiences, as Kubernetes makes them.
    let mut claims = setting.account("system:cart", "pod");
    claims["exp"] = json!(now() + 3_600);
    claims["aud"] = json!([crate::setting::OWN, "https://other.example"]);
    let token = setting
        .cluster
        .sign_with(&json!({"alg": "EdDSA", "kid": "cluster"}), &claims);
    // It is made to be shown again.
    for _ in 0..3 {
        let answer = setting.own_token("workload", &token).await.unwrap();
        assert_eq!(answer.scopes, ["orders.read"]);
    }
}

async fn another_workload_is_not_it(setting: Setting) {
    let sign = |subject: &str| setting.cluster.sign(&setting.account(subject, "pod"));
    let thief = ForeignKey::new("cluster").sign(&setting.account("system:cart", "pod"));
    let mut elsewhere = setting.account("system:cart", "pod");
    elsewhere["aud"] = json!("https://other.example");
    for (client_id, wrong) in [
        ("workload", sign("system:other")),
        ("workload", sign("system:cart2")),
        ("workload", thief),
        ("workload", setting.cluster.sign(&elsewhere)),
        ("workload", setting.signed("workload", "1")),
        // Whose token it is does not say which application it is.
        ("", sign("system:cart")),
        ("signs", sign("system:cart")),
        ("with-secret", sign("system:cart")),
    ] {
        let error = setting.own_token(client_id, &wrong).await.unwrap_err();
        assert_eq!(reason(&error), "invalid_client", "{client_id}");
    }
    setting.own_token("workload", &sign("system:cart")).await.unwrap();
}
