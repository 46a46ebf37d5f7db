//! A directory that is slow, down, odd, or coming back. Whatever it is, it is never a refusal.

use std::time::Instant;

use tokenbind_proto::v1::authenticate_response::Outcome;
use tokenbind_proto::v1::{AuthenticateResponse, DirectoryUser, TokenFormat};
use tokenbind_tests::{App, DEADLINE, Stack, client_credentials, password, reason, retry_after, wait_until};
use tonic::{Code, Status};

use crate::grpc::stack;
use crate::server::{DirectoryServer, Mood, PASSWORD, answer};

#[track_caller]
fn assert_unavailable(error: &Status) {
    assert_eq!(
        (error.code(), reason(error).as_str()),
        (Code::Unavailable, "temporarily_unavailable")
    );
    assert!(retry_after(error).is_some());
}

async fn recovers(stack: &Stack, app: &App) {
    wait_until("the directory is asked again", DEADLINE, async || {
        match stack.issue(app, password("alice", PASSWORD)).await {
            Ok(_) => Some(()),
            Err(error) => {
                assert_unavailable(&error);
                None
            }
        }
    })
    .await;
    // And the breaker is closed: a refusal is told again at once.
    let error = stack.issue(app, password("alice", "wrong")).await.unwrap_err();
    assert_eq!(reason(&error), "invalid_grant");
}

#[tokio::test]
async fn a_directory_that_is_down_is_found_again() {
    let mut directory = DirectoryServer::start(None);
    let stack = stack(&directory, &[]).await;
    let app = stack.shop("shop", TokenFormat::Jwt).await;
    stack.issue(&app, password("alice", PASSWORD)).await.unwrap();
    directory.stop().await;
    for secret in [PASSWORD, "wrong"].iter().cycle().take(12) {
        let error = stack.issue(&app, password("alice", secret)).await.unwrap_err();
        assert_unavailable(&error);
    }
    // What needs no directory goes on.
    stack.issue(&app, client_credentials()).await.unwrap();
    directory.restart();
    recovers(&stack, &app).await;
}

#[tokio::test]
async fn a_slow_directory_has_a_deadline_and_is_left_alone() {
    let directory = DirectoryServer::start(None);
    let stack = stack(&directory, &["--user-directory-timeout-ms", "300"]).await;
    let app = stack.shop("shop", TokenFormat::Jwt).await;
    directory.becomes(Mood::Silent);
    let begin = Instant::now();
    for _ in 0..40 {
        let error = stack.issue(&app, password("alice", PASSWORD)).await.unwrap_err();
        assert_unavailable(&error);
    }
    // One after the other, each until its deadline, they would take twelve seconds, and ask forty times.
    let asked = directory.asked();
    assert!(asked < 20, "{asked} of 40 reached it in {:?}", begin.elapsed());
    directory.becomes(Mood::Well);
    recovers(&stack, &app).await;
}

/// A name that a directory stumbles over may not shut out the others.
#[tokio::test]
async fn odd_answers_are_no_refusals_and_hold_up_nobody() {
    let directory = DirectoryServer::start(None);
    let stack = stack(&directory, &[]).await;
    let app = stack.shop("shop", TokenFormat::Jwt).await;
    let user = |username: &str| {
        let user = DirectoryUser {
            username: username.to_owned(),
            ..Default::default()
        };
        Mood::Says(answer(Outcome::User(user)))
    };
    let moods = [
        Mood::Says(AuthenticateResponse { outcome: None }),
        user(""),
        user("a\nb"),
        user(&"x".repeat(256)),
        user(&"x".repeat(100_000)),
        Mood::Fails(Status::internal("canary-detail")),
        Mood::Fails(Status::unknown("canary-detail")),
        Mood::Fails(Status::unauthenticated("canary-detail")),
        Mood::Fails(Status::permission_denied("canary-detail")),
        Mood::Fails(Status::invalid_argument("canary-detail")),
    ];
    for mood in moods {
        directory.becomes(mood.clone());
        let error = stack.issue(&app, password("alice", PASSWORD)).await.unwrap_err();
        assert_unavailable(&error);
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
    directory.becomes(Mood::Well);
    stack.issue(&app, password("alice", PASSWORD)).await.unwrap();
    assert!(
        !stack.processes[0].log().contains("canary"),
        "nor does the log repeat it"
    );
}
