//! Redis dies in the middle of everything, and comes back with what it had, or empty.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::join_all;
use tokenbind_proto::v1::{Decision, ValidateTokenRequest};
use tokenbind_tests::{Ask as _, DEADLINE, RedisServer, client_credentials, wait_until};
use tonic::Status;
use tonic_health::pb::health_check_response::ServingStatus;

use crate::fixture::{Declared, assert_unavailable, wait_for_health};

const CALLERS: usize = 16;

/// What one caller saw.
#[derive(Default)]
struct Seen {
    successes: usize,
    errors: Vec<Status>,
}

impl Seen {
    fn note<T>(&mut self, answer: Result<T, Status>) -> Option<T> {
        match answer {
            Ok(answer) => {
                self.successes += 1;
                Some(answer)
            }
            Err(error) => {
                self.errors.push(error);
                None
            }
        }
    }
}

/// Issues, validates and revokes until told to stop.
async fn call_on(declared: &Declared, number: usize, stop: Arc<AtomicBool>) -> Seen {
    let mut seen = Seen::default();
    let (app, _) = declared.both()[number % 2];
    let stack = &declared.stack;
    while !stop.load(Ordering::Relaxed) {
        let request = client_credentials().bound_to(&format!("phone-{number}"));
        let Some(token) = seen.note(stack.issue(app, request).await) else {
            continue;
        };
        let question = ValidateTokenRequest {
            token: token.access_token.clone(),
            ..Default::default()
        };
        if let Some(verdict) = seen.note(stack.judge(&declared.api, question).await) {
            // Nobody else has this binding: the token is good, or Redis has been emptied since.
            assert_ne!(verdict.decision(), Decision::PermissionDenied);
        }
        seen.note(stack.revoke(app, &token.access_token).await);
    }
    seen
}

#[tokio::test]
async fn v10_only_unavailable_comes_back_while_redis_is_gone() {
    let mut declared = Declared::start().await;
    let mut redis = declared.stack.redis.take().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let (seen, ()) = tokio::join!(
        join_all((0..CALLERS).map(|number| call_on(&declared, number, Arc::clone(&stop)))),
        async {
            // In the middle of it: every caller has been answered once.
            for (app, _) in declared.both() {
                declared.stack.issue(app, client_credentials()).await.unwrap();
            }
            redis.kill();
            wait_for_health(&declared.stack, ServingStatus::NotServing).await;
            stop.store(true, Ordering::Relaxed);
        }
    );
    assert!(seen.iter().any(|seen| seen.successes > 0));
    assert!(seen.iter().any(|seen| !seen.errors.is_empty()));
    for error in seen.iter().flat_map(|seen| &seen.errors) {
        assert_unavailable(error);
    }
    for (app, _) in declared.both() {
        assert_unavailable(&declared.stack.issue(app, client_credentials()).await.unwrap_err());
        assert_unavailable(&declared.stack.revoke(app, "tbo_x").await.unwrap_err());
        assert_unavailable(&declared.stack.introspect(&declared.api, "tbo_x").await.unwrap_err());
    }
}

#[tokio::test]
async fn everything_comes_back_by_itself() {
    let mut declared = Declared::over(RedisServer::start_durable()).await;
    let ask = |id: &str| client_credentials().bound_to(id);
    let mut before = Vec::new();
    for (app, _) in declared.both() {
        before.push(declared.stack.issue(app, ask("phone-1")).await.unwrap());
    }
    declared.redis().kill();
    wait_for_health(&declared.stack, ServingStatus::NotServing).await;
    for (app, _) in declared.both() {
        assert_unavailable(&declared.stack.issue(app, ask("phone-1")).await.unwrap_err());
    }
    declared.redis().restart();
    wait_for_health(&declared.stack, ServingStatus::Serving).await;
    // Nothing half done: the old tokens are what they were.
    for token in &before {
        declared.stack.assert_live(&declared.api, &token.access_token).await;
    }
    let superseding = declared.stack.issue(&declared.jwt, ask("phone-1")).await.unwrap();
    assert!(superseding.superseded);
    let again = declared.stack.issue(&declared.opaque, ask("phone-1")).await.unwrap();
    assert_eq!(again.access_token, before[1].access_token);
}

/// Whatever Redis lost is dead, and what issuers declare is there again.
#[tokio::test]
async fn a_redis_that_comes_back_empty_is_filled_again() {
    let mut declared = Declared::start().await;
    let mut before = Vec::new();
    for (app, _) in declared.both() {
        before.push(
            declared
                .stack
                .issue(app, client_credentials())
                .await
                .unwrap()
                .access_token,
        );
    }
    declared.redis().kill();
    wait_for_health(&declared.stack, ServingStatus::NotServing).await;
    declared.redis().restart();
    wait_for_health(&declared.stack, ServingStatus::Serving).await;
    for (app, _) in declared.both() {
        let token = wait_until("a token is issued again", DEADLINE, async || {
            declared.stack.issue(app, client_credentials()).await.ok()
        })
        .await;
        wait_until("and is good", DEADLINE, async || {
            let verdict = declared.stack.validate(&declared.api, &token.access_token).await;
            (verdict.decision() == Decision::Allow).then_some(())
        })
        .await;
    }
    for token in &before {
        let verdict = declared.stack.validate(&declared.api, token).await;
        assert_eq!(verdict.decision(), Decision::Unauthenticated);
    }
}
