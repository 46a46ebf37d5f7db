//! V10 where a resource chooses otherwise, and watches, when Redis falls silent.

use std::time::Duration;

use tokenbind_proto::v1::{
    self, FreshnessSource, Reason, ValidateTokenRequest, ValidateTokenResponse, WatchTokenRequest, WatchTokenResponse,
};
use tokenbind_tests::{App, Client, DEADLINE, Resource, api, client_credentials, wait_until, with_authorization};
use tonic::{Status, Streaming};
use tonic_health::pb::health_check_response::ServingStatus;

use crate::fixture::{Declared, assert_unavailable, wait_for_health};

/// Longer than the validator's lease of two seconds, by little.
const ALLOWED: Duration = Duration::from_secs(6);

fn question(token: &str) -> ValidateTokenRequest {
    ValidateTokenRequest {
        token: token.to_owned(),
        ..Default::default()
    }
}

async fn asked(client: &Client, resource: &Resource, token: &str) -> Result<ValidateTokenResponse, Status> {
    client.judge(resource, question(token)).await
}

async fn known(declared: &Declared, resource: &Resource, app: &App) -> String {
    let token = declared
        .stack
        .issue(app, client_credentials())
        .await
        .unwrap()
        .access_token;
    wait_until("it is kept", DEADLINE, async || {
        let answer = asked(&declared.stack, resource, &token).await.ok()?;
        (answer.freshness?.source() == FreshnessSource::Cache).then_some(())
    })
    .await;
    token
}

async fn watch(declared: &Declared, resource: &Resource, token: &str) -> Streaming<WatchTokenResponse> {
    let request = WatchTokenRequest {
        request: Some(question(token)),
    };
    let request = with_authorization(request, &resource.basic());
    let mut answers = declared
        .stack
        .validation()
        .watch_token(request)
        .await
        .unwrap()
        .into_inner();
    let first = answers.message().await.unwrap().unwrap();
    assert_eq!(first.response.unwrap().reason(), Reason::Valid);
    answers
}

#[tokio::test]
async fn v10_a_patient_resource_accepts_known_jwts_for_a_while() {
    let mut declared = Declared::start().await;
    let patient = v1::Resource {
        allow_stale_seconds: u32::try_from(ALLOWED.as_secs()).unwrap(),
        ..api("patient-api", &[&declared.jwt, &declared.opaque])
    };
    let patient = declared.stack.create_resource(patient).await.unwrap();
    let jwt = known(&declared, &patient, &declared.jwt).await;
    let opaque = known(&declared, &patient, &declared.opaque).await;
    let mut watched = watch(&declared, &patient, &jwt).await;

    declared.redis().freeze();
    // The lease lapses: nobody would hear of a revocation.
    let ended = tokio::time::timeout(DEADLINE, watched.message()).await.unwrap();
    assert_unavailable(&ended.unwrap_err());
    let verdict = asked(&declared.stack, &patient, &jwt).await.unwrap();
    assert_eq!(verdict.reason(), Reason::Valid);
    let freshness = verdict.freshness.unwrap();
    assert_eq!(freshness.source(), FreshnessSource::Cache);
    let staleness = Duration::try_from(freshness.max_staleness.unwrap()).unwrap();
    assert!(
        staleness >= Duration::from_secs(2) && staleness <= ALLOWED,
        "{staleness:?}"
    );
    assert_unavailable(&asked(&declared.stack, &patient, &opaque).await.unwrap_err());
    assert_unavailable(&asked(&declared.stack, &declared.api, &jwt).await.unwrap_err());
    let refused = wait_until("it was long enough", DEADLINE, async || {
        asked(&declared.stack, &patient, &jwt).await.err()
    })
    .await;
    assert_unavailable(&refused);

    declared.redis().thaw();
    wait_for_health(&declared.stack, ServingStatus::Serving).await;
    for token in [&jwt, &opaque] {
        let verdict = declared.stack.validate(&patient, token).await;
        assert_eq!(verdict.reason(), Reason::Valid);
    }
}

#[tokio::test]
async fn a_watch_hears_of_a_revocation_and_of_a_redis_that_is_gone() {
    let mut declared = Declared::start().await;
    for (app, _) in declared.both() {
        let token = known(&declared, &declared.api, app).await;
        let mut watched = watch(&declared, &declared.api, &token).await;
        declared.stack.revoke(app, &token).await.unwrap();
        let ended = tokio::time::timeout(DEADLINE, watched.message())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            ended.unwrap().response.unwrap().reason(),
            Reason::TokenNotLive,
            "{}",
            app.id
        );
        assert!(watched.message().await.unwrap().is_none());
    }
    let token = known(&declared, &declared.api, &declared.jwt).await;
    let mut watched = watch(&declared, &declared.api, &token).await;
    declared.redis().kill();
    let ended = tokio::time::timeout(DEADLINE, watched.message()).await.unwrap();
    assert_unavailable(&ended.unwrap_err());
}
