//! Case 2: Redis does not answer. A call that failed has changed nothing, also when Redis goes on with what it was sent.

use std::time::{Duration, Instant};

use tokenbind_proto::v1::Reason;
use tokenbind_tests::{Ask as _, client_credentials};
use tonic_health::pb::health_check_response::ServingStatus;

use crate::fixture::{Declared, assert_unavailable, wait_for_health};

#[tokio::test]
async fn case_2_an_issue_that_failed_leaves_the_old_token_live() {
    let mut declared = Declared::start().await;
    let ask = || client_credentials().bound_to("phone-1");
    let mut before = Vec::new();
    for (app, _) in declared.both() {
        before.push(declared.stack.issue(app, ask()).await.unwrap());
    }
    declared.redis().freeze();
    let asked = Instant::now();
    for (app, _) in declared.both() {
        assert_unavailable(&declared.stack.issue(app, ask()).await.unwrap_err());
        let other = client_credentials().bound_to("phone-2");
        assert_unavailable(&declared.stack.issue(app, other).await.unwrap_err());
    }
    assert!(asked.elapsed() < Duration::from_secs(20), "no call waits for long");
    wait_for_health(&declared.stack, ServingStatus::NotServing).await;
    declared.redis().thaw();
    wait_for_health(&declared.stack, ServingStatus::Serving).await;

    for (token, (app, _)) in before.iter().zip(declared.both()) {
        let verdict = declared.stack.validate(&declared.api, &token.access_token).await;
        assert_eq!(verdict.reason(), Reason::Valid, "{}", app.id);
        declared.stack.issue(app, ask()).await.unwrap();
    }
}

#[tokio::test]
async fn v10_no_verdict_is_made_up_while_redis_is_frozen() {
    let mut declared = Declared::start().await;
    let token = declared.stack.issue(&declared.jwt, client_credentials()).await.unwrap();
    declared.redis().freeze();
    let question = tokenbind_proto::v1::ValidateTokenRequest {
        token: token.access_token.clone(),
        ..Default::default()
    };
    let error = declared.stack.judge(&declared.api, question).await.unwrap_err();
    assert_unavailable(&error);
    assert_unavailable(
        &declared
            .stack
            .revoke(&declared.jwt, &token.access_token)
            .await
            .unwrap_err(),
    );
    declared.redis().thaw();
    wait_for_health(&declared.stack, ServingStatus::Serving).await;
    // C25: a revocation that was not acknowledged may have happened; one that is, has.
    declared.stack.revoke(&declared.jwt, &token.access_token).await.unwrap();
    let verdict = declared.stack.validate(&declared.api, &token.access_token).await;
    assert_eq!(verdict.http_status, 401);
}
