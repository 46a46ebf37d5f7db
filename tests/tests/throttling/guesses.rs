//! One issuer, one address.

use std::time::Duration;

use tokenbind_proto::v1::{IssueTokenRequest, TokenFormat};
use tokenbind_tests::{
    App, Ask as _, DEADLINE, Stack, client_credentials, on_every_backend, password, reason, retry_after, wait_until,
};
use tonic::{Code, Status};

on_every_backend!(
    c12_passwords_are_held_up_and_the_right_one_works_afterwards,
    c12_a17_users_who_do_not_exist_are_held_up_alike,
    c12_secrets_are_held_up_and_the_right_one_works_afterwards,
    c12_a17_applications_that_do_not_exist_are_held_up_alike,
);

/// 429 over HTTP.
#[track_caller]
pub(crate) fn assert_held_up(error: &Status) {
    assert_eq!(
        (error.code(), reason(error).as_str()),
        (Code::ResourceExhausted, "too_many_attempts"),
        "{error:?}"
    );
    let wait = retry_after(error).unwrap();
    assert!(wait > Duration::ZERO && wait <= Duration::from_secs(60), "{wait:?}");
}

async fn works_in_the_end(stack: &Stack, app: &App, request: IssueTokenRequest) {
    wait_until("the right one works again", DEADLINE, async || {
        match stack.issue(app, request.clone()).await {
            Ok(_) => Some(()),
            Err(error) => {
                assert_held_up(&error);
                None
            }
        }
    })
    .await;
}

async fn c12_passwords_are_held_up_and_the_right_one_works_afterwards(stack: Stack) {
    let app = stack.shop("shop", TokenFormat::Jwt).await;
    for user in ["ada", "grace"] {
        stack.user(user, "correct horse").await;
    }
    for _ in 0..11 {
        let error = stack.issue(&app, password("ada", "wrong")).await.unwrap_err();
        assert_eq!(reason(&error), "invalid_grant");
    }
    for secret in ["wrong", "correct horse"] {
        let error = stack.issue(&app, password("ada", secret)).await.unwrap_err();
        assert_held_up(&error);
    }
    // Neither another user nor the application itself waits.
    stack.issue(&app, password("grace", "correct horse")).await.unwrap();
    stack.issue(&app, client_credentials()).await.unwrap();
    works_in_the_end(&stack, &app, password("ada", "correct horse")).await;
}

async fn c12_a17_users_who_do_not_exist_are_held_up_alike(stack: Stack) {
    let app = stack.shop("shop", TokenFormat::Jwt).await;
    stack.user("ada", "correct horse").await;
    let mut told = Vec::new();
    for user in ["ada", "nobody"] {
        let mut answers = Vec::new();
        for _ in 0..12 {
            let error = stack.issue(&app, password(user, "wrong")).await.unwrap_err();
            answers.push((error.code(), reason(&error), error.message().to_owned()));
        }
        told.push(answers);
    }
    assert_eq!(told[0], told[1]);
    assert_eq!(told[0][11].1, "too_many_attempts");
    works_in_the_end(&stack, &app, password("ada", "correct horse")).await;
}

async fn c12_secrets_are_held_up_and_the_right_one_works_afterwards(stack: Stack) {
    let app = stack.shop("shop", TokenFormat::Opaque).await;
    let other = stack.shop("other", TokenFormat::Opaque).await;
    let wrong = App {
        secret: "wrong".to_owned(),
        ..app.clone()
    };
    let token = stack.issue(&app, client_credentials()).await.unwrap().access_token;
    for number in 0..21 {
        // Every way to authenticate counts.
        let error = if number % 2 == 0 {
            stack.issue(&wrong, client_credentials()).await.map(drop).unwrap_err()
        } else {
            stack.revoke(&wrong, &token).await.map(drop).unwrap_err()
        };
        assert_eq!(reason(&error), "invalid_client");
    }
    for app in [&wrong, &app] {
        assert_held_up(&stack.issue(app, client_credentials()).await.unwrap_err());
        assert_held_up(&stack.revoke(app, &token).await.unwrap_err());
    }
    stack.issue(&other, client_credentials()).await.unwrap();
    works_in_the_end(&stack, &app, client_credentials()).await;
}

async fn c12_a17_applications_that_do_not_exist_are_held_up_alike(stack: Stack) {
    let app = stack.shop("shop", TokenFormat::Jwt).await;
    let mut told = Vec::new();
    for id in ["shop", "nobody"] {
        let mut answers = Vec::new();
        for _ in 0..22 {
            let request = client_credentials().by(id, "wrong");
            let error = stack.tokens().issue_token(request).await.unwrap_err();
            answers.push((error.code(), reason(&error), error.message().to_owned()));
        }
        told.push(answers);
    }
    assert_eq!(told[0], told[1]);
    assert_eq!(told[0][21].1, "too_many_attempts");
    works_in_the_end(&stack, &app, client_credentials()).await;
}
