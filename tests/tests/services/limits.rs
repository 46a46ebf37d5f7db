//! Limits and deadlines, seen by holding Redis still so that calls stay in flight.

use std::time::{Duration, Instant};

use futures::future::join_all;
use tokenbind_proto::v1::{StreamValidateRequest, TokenFormat, ValidateTokenRequest, WatchTokenRequest};
use tokenbind_tests::{
    Ask as _, DEADLINE, Stack, client_credentials, health, retry_after, wait_until, with_authorization,
};
use tonic::{Code, Status};
use tonic_health::pb::health_check_response::ServingStatus;

#[tokio::test]
async fn calls_over_the_limit_are_refused_at_once() {
    let arguments = ["--max-requests", "4"];
    let stack = Stack::redis(&arguments, &arguments).await;
    let app = stack.shop("shop", TokenFormat::Opaque).await;
    let api = stack.api("api", &[&app]).await;
    let redis = stack.redis.as_ref().unwrap();
    redis.freeze();
    let issued = join_all((0..64).map(|number| {
        let request = client_credentials().bound_to(&format!("phone-{number}"));
        stack.issue(&app, request)
    }));
    let question = || ValidateTokenRequest {
        token: "tbo_x".to_owned(),
        ..Default::default()
    };
    let judged = join_all((0..64).map(|_| stack.judge(&api, question())));
    let (issued, judged) = tokio::join!(issued, judged);
    redis.thaw();
    let issued = issued.into_iter().map(Result::unwrap_err);
    let judged = judged.into_iter().map(Result::unwrap_err);
    for errors in [issued.collect::<Vec<_>>(), judged.collect()] {
        let refused = errors.iter().filter(|error| error.code() == Code::ResourceExhausted);
        let refused: Vec<_> = refused.collect();
        assert!(refused.len() >= 50, "{}", refused.len());
        assert!(refused.iter().all(|error| retry_after(error).is_some()));
        let others = errors.iter().filter(|error| error.code() != Code::ResourceExhausted);
        assert!(others.into_iter().all(|error| error.code() == Code::Unavailable));
    }
    wait_until("it serves again", DEADLINE, async || {
        stack.issue(&app, client_credentials()).await.ok()
    })
    .await;
}

#[tokio::test]
async fn a_call_ends_at_its_deadline() {
    let arguments = ["--request-timeout-ms", "200"];
    let stack = Stack::redis(&arguments, &arguments).await;
    let app = stack.shop("shop", TokenFormat::Opaque).await;
    let api = stack.api("api", &[&app]).await;
    let redis = stack.redis.as_ref().unwrap();
    redis.freeze();
    let asked = Instant::now();
    let issued = stack.issue(&app, client_credentials()).await.unwrap_err();
    let judged = stack.judge(
        &api,
        ValidateTokenRequest {
            token: "tbo_x".to_owned(),
            ..Default::default()
        },
    );
    let judged = judged.await.unwrap_err();
    assert!(asked.elapsed() >= Duration::from_millis(200));
    redis.thaw();
    for error in [issued, judged] {
        assert_eq!(error.code(), Code::DeadlineExceeded, "{error:?}");
    }
    wait_until("it serves again", DEADLINE, async || {
        stack.issue(&app, client_credentials()).await.ok()
    })
    .await;
    for server in [&stack.issuer, &stack.validator] {
        wait_until("health is back", DEADLINE, async || {
            (health(server, "").await == Some(ServingStatus::Serving)).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn no_more_calls_stay_open_than_the_validator_is_told() {
    let stack = Stack::redis(&[], &["--max-validation-streams", "2", "--max-watches", "1"]).await;
    let app = stack.shop("shop", TokenFormat::Opaque).await;
    let api = stack.api("api", &[&app]).await;
    let token = stack.issue(&app, client_credentials()).await.unwrap().access_token;
    // It stays open for as long as the first part is kept.
    let stream = async || {
        let (open, questions) = futures::channel::mpsc::unbounded::<StreamValidateRequest>();
        let request = with_authorization(questions, &api.basic());
        let answers = stack.validation().stream_validate(request).await?;
        Ok::<_, Status>((open, answers))
    };
    let watch = async || {
        let request = Some(ValidateTokenRequest {
            token: token.clone(),
            ..Default::default()
        });
        let request = with_authorization(WatchTokenRequest { request }, &api.basic());
        stack.validation().watch_token(request).await
    };
    let streams = [stream().await.unwrap(), stream().await.unwrap()];
    let watched = watch().await.unwrap();
    for refused in [stream().await.unwrap_err(), watch().await.unwrap_err()] {
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert!(retry_after(&refused).is_some());
    }
    drop((streams, watched));
    wait_until("there is room again", DEADLINE, async || {
        stream().await.ok()?;
        watch().await.ok()
    })
    .await;
}
