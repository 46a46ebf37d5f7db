//! C4, C6, A17: who authenticates wrongly learns nothing by it.

use tokenbind_proto::v1::{RotateApplicationSecretRequest, TokenFormat, UpdateUserRequest, User};
use tokenbind_tests::{
    App, Ask as _, Stack, basic, bearer, client_credentials, fields, mask, on_every_backend, password, reason,
    with_authorization,
};
use tonic::{Code, Request, Status};

on_every_backend!(
    a17_an_unknown_application_and_a_wrong_secret_look_alike,
    a17_an_unknown_user_and_a_wrong_password_look_alike,
    c4_two_authentications_at_once_are_refused,
    a10_a_repeated_authorization_is_refused,
    both_ways_to_authenticate_work,
    a_rotated_secret_is_good_until_the_overlap_ends,
);

#[track_caller]
fn assert_alike(errors: &[Status], expected: &str) {
    for error in errors {
        assert_eq!(
            (error.code(), reason(error).as_str()),
            (Code::Unauthenticated, expected)
        );
        assert_eq!(error.message(), errors[0].message());
        assert_eq!(error.details(), errors[0].details());
    }
}

async fn a17_an_unknown_application_and_a_wrong_secret_look_alike(stack: Stack) {
    let app = stack.shop("shop", TokenFormat::Jwt).await;
    let other = stack.shop("other", TokenFormat::Jwt).await;
    let long = "x".repeat(255);
    let presented = [
        (app.id.as_str(), "wrong"),
        (&app.id, ""),
        (&app.id, &other.secret),
        (&app.id, &app.secret[1..]),
        (&app.id, &long),
        ("nobody", "wrong"),
        ("nobody", &app.secret),
        ("SHOP", &app.secret),
        ("", ""),
        ("", "wrong"),
    ];
    let mut errors = Vec::new();
    for (id, secret) in presented {
        let request = client_credentials().by(id, secret);
        errors.push(stack.tokens().issue_token(request).await.unwrap_err());
        if !id.is_empty() {
            let request = with_authorization(client_credentials(), &basic(id, secret));
            errors.push(stack.tokens().issue_token(request).await.unwrap_err());
        }
    }
    assert_alike(&errors, "invalid_client");
    stack.issue(&app, client_credentials()).await.unwrap();
}

async fn a17_an_unknown_user_and_a_wrong_password_look_alike(stack: Stack) {
    let app = stack.shop("shop", TokenFormat::Jwt).await;
    for name in ["ada", "disabled"] {
        stack.user(name, "correct horse").await;
    }
    let disabled = User {
        username: "disabled".to_owned(),
        disabled: true,
        ..Default::default()
    };
    let request = stack.as_admin(UpdateUserRequest {
        user: Some(disabled),
        update_mask: Some(mask(&["disabled"])),
        ..Default::default()
    });
    stack.users().update_user(request).await.unwrap();
    let mut errors = Vec::new();
    for (name, secret) in [
        ("ada", "wrong"),
        ("ada", "Correct horse"),
        ("ada", "correct horse "),
        ("ADA", "correct horse"),
        ("nobody", "correct horse"),
        ("user:ada", "correct horse"),
        ("disabled", "correct horse"),
        ("shop", &app.secret),
        ("a\0da", "correct horse"),
    ] {
        errors.push(stack.issue(&app, password(name, secret)).await.unwrap_err());
    }
    assert_alike(&errors, "invalid_grant");
    stack.issue(&app, password("ada", "correct horse")).await.unwrap();
}

async fn c4_two_authentications_at_once_are_refused(stack: Stack) {
    let app = stack.shop("shop", TokenFormat::Jwt).await;
    let other = stack.shop("other", TokenFormat::Jwt).await;
    for in_message in [(&app.id, &app.secret), (&other.id, &other.secret)] {
        let message = client_credentials().by(in_message.0, in_message.1);
        let request = with_authorization(message, &app.basic());
        let error = stack.tokens().issue_token(request).await.unwrap_err();
        assert_eq!(
            (error.code(), reason(&error).as_str()),
            (Code::InvalidArgument, "invalid_request")
        );
    }
    // A token is no authentication of an application.
    let token = stack.issue(&app, client_credentials()).await.unwrap().access_token;
    let request = with_authorization(client_credentials(), &bearer(&token));
    let error = stack.tokens().issue_token(request).await.unwrap_err();
    assert_eq!(
        (error.code(), reason(&error).as_str()),
        (Code::Unauthenticated, "invalid_client")
    );
    stack.issue(&app, client_credentials()).await.unwrap();
}

async fn a10_a_repeated_authorization_is_refused(stack: Stack) {
    let app = stack.shop("shop", TokenFormat::Jwt).await;
    let header: tonic::metadata::MetadataValue<_> = app.basic().parse().unwrap();
    let mut twice = Request::new(client_credentials());
    twice.metadata_mut().append("authorization", header.clone());
    twice.metadata_mut().append("authorization", header);
    let joined = with_authorization(client_credentials(), &format!("{0}, {0}", app.basic()));
    for request in [twice, joined] {
        let error = stack.tokens().issue_token(request).await.unwrap_err();
        assert_eq!(
            (error.code(), reason(&error).as_str()),
            (Code::InvalidArgument, "invalid_request")
        );
        assert_eq!(fields(&error), ["authorization"]);
    }
    for malformed in [
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic bm8gY29sb24=",
        "Basic /w==",
        "Digest x",
        "x",
    ] {
        let request = with_authorization(client_credentials(), malformed);
        let error = stack.tokens().issue_token(request).await.unwrap_err();
        assert_eq!(
            (error.code(), reason(&error).as_str()),
            (Code::Unauthenticated, "invalid_client")
        );
    }
    stack.issue(&app, client_credentials()).await.unwrap();
}

async fn both_ways_to_authenticate_work(stack: Stack) {
    // RFC 6749, section 2.3.1: form-encoded, so a colon and a percent sign are not mistaken.
    for id in ["shop", "a:b", "a%3Ab", "a+b", "{}&=?/\\\"'"] {
        let app = stack.shop(id, TokenFormat::Opaque).await;
        let in_message = stack.issue(&app, client_credentials()).await.unwrap();
        let request = with_authorization(client_credentials(), &app.basic());
        let in_metadata = stack.tokens().issue_token(request).await.unwrap().into_inner();
        assert_eq!(in_message.access_token, in_metadata.access_token, "{id}");
    }
}

async fn a_rotated_secret_is_good_until_the_overlap_ends(stack: Stack) {
    let old = stack.shop("shop", TokenFormat::Opaque).await;
    let rotate = async |overlap_seconds| {
        let request = stack.as_admin(RotateApplicationSecretRequest {
            client_id: "shop".to_owned(),
            overlap_seconds,
        });
        let answer = stack.applications().rotate_application_secret(request).await.unwrap();
        App {
            id: "shop".to_owned(),
            secret: answer.into_inner().client_secret,
        }
    };
    let new = rotate(60).await;
    let first = stack.issue(&old, client_credentials()).await.unwrap();
    let again = stack.issue(&new, client_credentials()).await.unwrap();
    assert_eq!(first.access_token, again.access_token);
    let newest = rotate(0).await;
    for ended in [&old, &new] {
        let error = stack.issue(ended, client_credentials()).await.unwrap_err();
        assert_eq!(reason(&error), "invalid_client");
    }
    stack.issue(&newest, client_credentials()).await.unwrap();
}
