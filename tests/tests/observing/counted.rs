//! What alerts watch is counted when it happens, and not before.

use tokenbind_proto::v1::{TokenFormat, ValidateTokenRequest};
use tokenbind_tests::{DEADLINE, Resource, Stack, client_credentials, wait_until};

use crate::exposed::get;

fn value(exposition: &str, series: &str) -> f64 {
    let found = exposition
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    found
        .unwrap_or_else(|| unreachable!("no {series} in\n{exposition}"))
        .parse()
        .unwrap()
}

async fn assert_values(address: &str, expected: &[(&str, f64)]) {
    let exposition = get(address, "/metrics").await;
    for (series, count) in expected {
        assert!(
            (value(&exposition, series) - count).abs() < f64::EPSILON,
            "{series} is not {count} in\n{exposition}"
        );
    }
}

#[tokio::test]
async fn what_fails_is_counted() {
    let metrics = ["--metrics-listen", "127.0.0.1:0"];
    let issuer = [&metrics[..], &["--redis-min-replicas", "1", "--redis-wait-ms", "50"]].concat();
    let mut stack = Stack::redis(&issuer, &metrics).await;
    let app = stack.shop("shop", TokenFormat::Jwt).await;
    let api = stack.api("api", &[&app]).await;
    let [issuer, validator] = [0, 1].map(|index| stack.processes[index].logged_address("serving metrics"));
    let [not_revoked, unavailable, full] = [
        "tokenbind_revocation_errors_total",
        r#"tokenbind_index_errors_total{kind="unavailable"}"#,
        r#"tokenbind_index_errors_total{kind="full"}"#,
    ];
    assert_values(
        &issuer,
        &[
            (not_revoked, 0.0),
            (unavailable, 0.0),
            (full, 0.0),
            ("tokenbind_ready", 1.0),
        ],
    )
    .await;

    let token = stack.issue(&app, client_credentials()).await.unwrap().access_token;
    for _ in 0..3 {
        stack.assert_live(&api, &token).await;
    }
    let facts = |source| format!(r#"tokenbind_facts_total{{source="{source}"}}"#);
    assert_values(&validator, &[(&facts("index"), 1.0), (&facts("cache"), 2.0)]).await;

    // No replica has it (R6).
    let unconfirmed = stack.revoke(&app, &token).await.unwrap_err();
    assert!(unconfirmed.message().contains("repeat it"), "{unconfirmed:?}");
    assert_values(&issuer, &[(not_revoked, 1.0), (unavailable, 1.0), (full, 0.0)]).await;

    let stranger = Resource {
        secret: "wrong".to_owned(),
        ..api.clone()
    };
    stack
        .judge(&stranger, ValidateTokenRequest::default())
        .await
        .unwrap_err();
    assert_values(&validator, &[("tokenbind_callers_refused_total", 1.0)]).await;

    // An issuer that starts now has nothing to publish it to, and says once what is missing.
    let installation = stack.installation.as_ref().unwrap();
    let (late, _) = installation.start_issuer(&["--redis-min-replicas", "1", "--redis-wait-ms", "50"]);
    let told = late.log().matches("keys and catalog cannot be published").count();
    assert!(
        told == 1 && late.log().contains("ask for fewer (--redis-min-replicas)"),
        "{}",
        late.log()
    );

    let mut redis = stack.redis.as_ref().unwrap().connection();
    redis::cmd("CONFIG")
        .arg(&["SET", "maxmemory", "1"])
        .exec(&mut redis)
        .unwrap();
    stack.issue(&app, client_credentials()).await.unwrap_err();
    assert_values(&issuer, &[(full, 1.0), (not_revoked, 1.0)]).await;

    stack.redis.as_mut().unwrap().kill();
    for address in [&issuer, &validator] {
        wait_until("the gauge says that it is not ready", DEADLINE, async || {
            (value(&get(address, "/metrics").await, "tokenbind_ready") == 0.0).then_some(())
        })
        .await;
    }
}
