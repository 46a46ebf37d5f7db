//! `TokenService`

use tokenbind_proto::v1::issue_token_request::Grant;
use tokenbind_proto::v1::{IssueTokenRequest, PasswordGrant, RevokeTokenRequest, TokenFormat};
use tokenbind_tests::{Ask as _, Stack, client_credentials, on_every_backend, reason};
use tonic::Code;

use crate::{Spoiled, assert_violations};

on_every_backend!(
    each_field_of_issue_token_has_a_limit,
    each_field_of_revoke_token_has_a_limit,
    all_violations_are_told_at_once,
    c7_each_oauth_error_has_its_code,
);

fn user(request: &mut IssueTokenRequest, username: &str, password: &str) {
    request.grant = Some(Grant::Password(PasswordGrant {
        username: username.to_owned(),
        password: password.to_owned(),
    }));
}

fn many(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("name-{number}")).collect()
}

const ISSUE: &[Spoiled<IssueTokenRequest>] = &[
    (&["grant"], |it| it.grant = None),
    (&["client_id"], |it| it.client_id = "x".repeat(256)),
    (&["client_id"], |it| it.client_id = "caf\u{e9}".into()),
    (&["client_id"], |it| it.client_id = "a\r\nb".into()),
    (&["client_id"], |it| it.client_id = "user:ada".into()),
    (&["client_secret"], |it| it.client_secret = "x".repeat(256)),
    (&["password.username"], |it| user(it, "", "x")),
    (&["password.username"], |it| user(it, &"x".repeat(256), "x")),
    (&["password.password"], |it| user(it, "ada", "")),
    (&["password.password"], |it| user(it, "ada", &"x".repeat(1_025))),
    (&["scopes"], |it| it.scopes = many(65)),
    (&["scopes[0]"], |it| it.scopes = vec![String::new()]),
    (&["scopes[1]"], |it| {
        it.scopes = vec!["orders.read".to_owned(), "a b".to_owned()];
    }),
    (&["scopes[0]"], |it| it.scopes = vec!["a\"b".to_owned()]),
    (&["scopes[0]"], |it| it.scopes = vec!["caf\u{e9}".to_owned()]),
    (&["scopes[0]"], |it| it.scopes = vec!["x".repeat(129)]),
    (&["audiences"], |it| it.audiences = many(17)),
    (&["audiences[0]"], |it| it.audiences = vec![String::new()]),
    (&["audiences[0]"], |it| it.audiences = vec!["x".repeat(256)]),
    (&["token_binding_id"], |it| it.token_binding_id = "x".repeat(256)),
];

async fn each_field_of_issue_token_has_a_limit(stack: Stack) {
    let app = stack.shop("shop", TokenFormat::Opaque).await;
    let good = client_credentials().by(&app.id, &app.secret);
    for (paths, spoil) in ISSUE {
        let mut request = good.clone();
        spoil(&mut request);
        let error = stack.tokens().issue_token(request).await.unwrap_err();
        assert_violations(&error, paths);
    }
    stack.tokens().issue_token(good).await.unwrap();
}

const REVOKE: &[Spoiled<RevokeTokenRequest>] = &[
    (&["token"], |it| it.token = "x".repeat(8_193)),
    (&["token_type_hint"], |it| it.token_type_hint = "x".repeat(65)),
    (&["client_id"], |it| it.client_id = "x".repeat(256)),
    (&["client_secret"], |it| it.client_secret = "x".repeat(256)),
];

async fn each_field_of_revoke_token_has_a_limit(stack: Stack) {
    let app = stack.shop("shop", TokenFormat::Opaque).await;
    let token = stack.issue(&app, client_credentials()).await.unwrap();
    let good = RevokeTokenRequest {
        token: token.access_token,
        client_id: app.id,
        client_secret: app.secret,
        ..Default::default()
    };
    for (paths, spoil) in REVOKE {
        let mut request = good.clone();
        spoil(&mut request);
        let error = stack.tokens().revoke_token(request).await.unwrap_err();
        assert_violations(&error, paths);
    }
    stack.tokens().revoke_token(good).await.unwrap();
}

async fn all_violations_are_told_at_once(stack: Stack) {
    let app = stack.shop("shop", TokenFormat::Opaque).await;
    let request = IssueTokenRequest {
        client_id: "x".repeat(256),
        client_secret: "x".repeat(256),
        token_binding_id: "x".repeat(256),
        ..client_credentials()
            .scopes(&["fine", "not fine"])
            .audiences(&["fine", ""])
    };
    let error = stack.tokens().issue_token(request).await.unwrap_err();
    let paths = [
        "client_id",
        "client_secret",
        "scopes[1]",
        "audiences[1]",
        "token_binding_id",
    ];
    assert_violations(&error, &paths);
    assert_eq!(reason(&error), "invalid_request");
    stack.issue(&app, client_credentials()).await.unwrap();
}

async fn c7_each_oauth_error_has_its_code(stack: Stack) {
    let app = tokenbind_tests::shop("shop", TokenFormat::Jwt);
    let app = tokenbind_proto::v1::Application {
        grants: vec![tokenbind_proto::v1::GrantType::ClientCredentials.into()],
        ..app
    };
    let app = stack.create_app(app).await.unwrap();
    stack.user("ada", "correct horse").await;
    let good = client_credentials;
    let nothing = IssueTokenRequest::default();
    for (request, code, expected) in [
        (
            good().bound_to(&"x".repeat(256)),
            Code::InvalidArgument,
            "invalid_request",
        ),
        (good().scopes(&["other"]), Code::InvalidArgument, "invalid_scope"),
        (good().audiences(&["other"]), Code::InvalidArgument, "invalid_target"),
        (nothing, Code::InvalidArgument, "unsupported_grant_type"),
        // The grant is refused whether or not its credentials are right.
        (
            tokenbind_tests::password("ada", "correct horse"),
            Code::PermissionDenied,
            "unauthorized_client",
        ),
        (
            tokenbind_tests::password("ada", "wrong"),
            Code::PermissionDenied,
            "unauthorized_client",
        ),
        (
            tokenbind_tests::password("nobody", "wrong"),
            Code::PermissionDenied,
            "unauthorized_client",
        ),
    ] {
        let error = stack.issue(&app, request).await.unwrap_err();
        assert_eq!((error.code(), reason(&error).as_str()), (code, expected));
    }
    stack.issue(&app, good()).await.unwrap();
}
