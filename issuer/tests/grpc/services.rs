//! What only transport decides: credentials, limits and statuses.

use tokenbind_proto::v1::binding_service_client::BindingServiceClient;
use tokenbind_proto::v1::issue_token_request::Grant;
use tokenbind_proto::v1::key_service_client::KeyServiceClient;
use tokenbind_proto::v1::token_service_client::TokenServiceClient;
use tokenbind_proto::v1::{
    BindingType, GetKeySetRequest, IssueTokenRequest, ListBindingsRequest, PasswordGrant, RevokeBindingRequest,
    RevokeSubjectRequest, RevokeTokenRequest, RotateSigningKeyRequest,
};
use tonic::{Code, Request};

use crate::support::{SECRET, asked, basic, fields, for_alice, grant, issue, reason, start, strings, with};

#[tokio::test]
async fn a_token_is_answered_with_what_it_is_good_for() {
    let channel = start().await;
    let jwt = issue(&channel, for_alice("shop", "password", "phone")).await.unwrap();
    assert_eq!((jwt.token_type.as_str(), jwt.expires_in), ("Bearer", 3_600));
    assert_eq!(jwt.issued_token_type, "urn:ietf:params:oauth:token-type:access_token");
    assert_eq!(jwt.scopes, ["read", "write"]);
    let binding = jwt.binding.clone().unwrap();
    assert_eq!(
        (binding.r#type(), binding.r#ref.len()),
        (BindingType::ClientRequest, 43)
    );
    assert!(!jwt.reused && !jwt.superseded && jwt.revision > 0);
    assert!(
        issue(&channel, for_alice("shop", "password", "phone"))
            .await
            .unwrap()
            .superseded
    );

    let opaque = issue(&channel, asked("bank", "")).await.unwrap();
    assert_eq!(opaque.binding.clone().unwrap().r#type(), BindingType::None);
    let again = issue(&channel, asked("bank", "")).await.unwrap();
    assert!(again.reused && again.access_token == opaque.access_token && again.revision == opaque.revision);
}

#[tokio::test]
async fn c4_one_way_of_client_authentication() {
    let channel = start().await;
    let anonymous = || IssueTokenRequest {
        grant: Some(grant()),
        ..IssueTokenRequest::default()
    };
    issue(&channel, with(anonymous(), &basic("shop"))).await.unwrap();

    let status = issue(&channel, with(asked("shop", ""), &basic("shop")))
        .await
        .unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::InvalidArgument, "invalid_request")
    );
    assert_eq!(fields(&status), ["client_secret"]);

    let status = issue(&channel, with(anonymous(), "Bearer a, Bearer b"))
        .await
        .unwrap_err();
    assert_eq!(fields(&status), ["authorization"]);
    for nobody in [
        Request::new(anonymous()),
        with(anonymous(), "Basic !"),
        with(anonymous(), "Bearer x"),
        with(asked("shop", ""), "Bearer x"),
    ] {
        let status = issue(&channel, nobody).await.unwrap_err();
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::Unauthenticated, "invalid_client")
        );
    }
}

#[tokio::test]
async fn every_violation_of_a_request_is_told_with_its_path() {
    let channel = start().await;
    let request = IssueTokenRequest {
        grant: Some(Grant::Password(PasswordGrant {
            username: String::new(),
            password: "x".repeat(1_025),
        })),
        client_id: "user:x".to_owned(),
        client_secret: "x".repeat(256),
        scopes: strings(&["read", "a b", "", "write"]),
        audiences: vec!["x".repeat(256)],
        token_binding_id: "x".repeat(256),
        ..IssueTokenRequest::default()
    };
    let status = issue(&channel, request).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::InvalidArgument, "invalid_request")
    );
    let expected = [
        "client_id",
        "client_secret",
        "password.username",
        "password.password",
        "scopes[1]",
        "scopes[2]",
        "audiences[0]",
        "token_binding_id",
    ];
    assert_eq!(fields(&status), expected);

    let many = IssueTokenRequest {
        scopes: vec!["read".to_owned(); 65],
        ..asked("shop", "")
    };
    let status = issue(&channel, many).await.unwrap_err();
    assert_eq!(
        (reason(&status).as_str(), fields(&status)),
        ("invalid_scope", strings(&["scopes"]))
    );
    let most = IssueTokenRequest {
        scopes: vec!["read".to_owned(); 64],
        token_binding_id: "x".repeat(255),
        ..asked("shop", "")
    };
    issue(&channel, most).await.unwrap();
}

#[tokio::test]
async fn c7_each_error_code_has_its_status() {
    let channel = start().await;
    let no_grant = IssueTokenRequest {
        grant: None,
        ..asked("shop", "")
    };
    let wrong_scope = IssueTokenRequest {
        scopes: strings(&["read", "root"]),
        ..asked("shop", "")
    };
    let wrong_audience = IssueTokenRequest {
        audiences: strings(&["elsewhere"]),
        ..asked("shop", "")
    };
    let cases = [
        (no_grant, Code::InvalidArgument, "unsupported_grant_type", "grant"),
        (wrong_scope, Code::InvalidArgument, "invalid_scope", "scopes[1]"),
        (wrong_audience, Code::InvalidArgument, "invalid_target", "audiences[0]"),
        (asked("unknown", ""), Code::Unauthenticated, "invalid_client", ""),
        (
            for_alice("shop", "wrong", ""),
            Code::Unauthenticated,
            "invalid_grant",
            "",
        ),
        (
            for_alice("service", "password", ""),
            Code::PermissionDenied,
            "unauthorized_client",
            "",
        ),
    ];
    for (request, code, expected, field) in cases {
        let status = issue(&channel, request).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (code, expected));
        if !field.is_empty() {
            assert_eq!(fields(&status), [field]);
        }
    }
}

#[tokio::test]
async fn a_token_is_revoked_by_its_application_alone() {
    let channel = start().await;
    let mut client = TokenServiceClient::new(channel.clone());
    let token = issue(&channel, asked("bank", "X")).await.unwrap().access_token;
    let message = |client_id: &str| RevokeTokenRequest {
        token: token.clone(),
        token_type_hint: "refresh_token".to_owned(),
        client_id: client_id.to_owned(),
        client_secret: SECRET.to_owned(),
        ..RevokeTokenRequest::default()
    };
    let status = client.revoke_token(message("shop")).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::PermissionDenied, "unauthorized_client")
    );
    assert!(issue(&channel, asked("bank", "X")).await.unwrap().reused);
    assert!(
        client
            .revoke_token(message("bank"))
            .await
            .unwrap()
            .into_inner()
            .revision
            > 0
    );
    assert!(!issue(&channel, asked("bank", "X")).await.unwrap().reused);

    let too_long = RevokeTokenRequest {
        token: "x".repeat(8_193),
        token_type_hint: "x".repeat(65),
        ..message("bank")
    };
    let status = client.revoke_token(too_long).await.unwrap_err();
    assert_eq!(fields(&status), ["token", "token_type_hint"]);
}

#[tokio::test]
async fn bindings_are_listed_and_revoked_by_administrators_and_applications() {
    let channel = start().await;
    for client_id in ["shop", "bank"] {
        issue(&channel, for_alice(client_id, "password", "phone"))
            .await
            .unwrap();
    }
    let admin = issue(&channel, asked("admin", "")).await.unwrap().access_token;
    let bearer = format!("Bearer {admin}");
    let mut bindings = BindingServiceClient::new(channel.clone());
    let alice = || ListBindingsRequest {
        subject: "user:alice".to_owned(),
        ..ListBindingsRequest::default()
    };
    let all = bindings
        .list_bindings(with(alice(), &bearer))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((all.bindings.len(), all.next_page_token.as_str()), (2, ""));
    let first = &all.bindings[0];
    assert_eq!(first.binding.clone().unwrap().r#ref.len(), 43);
    let lifetime = first.expires_at.unwrap().seconds - first.issued_at.unwrap().seconds;
    assert_eq!(lifetime, 3_600);

    let own = bindings
        .list_bindings(with(alice(), &basic("bank")))
        .await
        .unwrap()
        .into_inner();
    let clients: Vec<_> = own.bindings.iter().map(|binding| binding.client_id.as_str()).collect();
    assert_eq!(clients, ["bank"]);

    let lost = || RevokeBindingRequest {
        subject: "user:alice".to_owned(),
        client_id: "shop".to_owned(),
        token_binding_id: "phone".to_owned(),
    };
    let status = bindings.revoke_binding(with(lost(), &basic("bank"))).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert_eq!(
        bindings
            .revoke_binding(with(lost(), &bearer))
            .await
            .unwrap()
            .into_inner()
            .revoked,
        1
    );
    let everywhere = RevokeSubjectRequest {
        subject: "user:alice".to_owned(),
        client_id: String::new(),
    };
    assert_eq!(
        bindings
            .revoke_subject(with(everywhere, &bearer))
            .await
            .unwrap()
            .into_inner()
            .revoked,
        1
    );
}

#[tokio::test]
async fn who_may_not_see_bindings_sees_none() {
    let channel = start().await;
    let mut bindings = BindingServiceClient::new(channel.clone());
    let message = || ListBindingsRequest {
        subject: "user:alice".to_owned(),
        ..ListBindingsRequest::default()
    };
    let status = bindings.list_bindings(message()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    let status = bindings.list_bindings(with(message(), "Bearer x")).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::Unauthenticated, "invalid_token")
    );
    let plain = issue(&channel, asked("bank", "")).await.unwrap().access_token;
    let status = bindings
        .list_bindings(with(message(), &format!("Bearer {plain}")))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    let wrong = ListBindingsRequest {
        subject: String::new(),
        client_id: "ü".to_owned(),
        page_size: 1_001,
        page_token: "x".to_owned(),
    };
    let status = bindings.list_bindings(with(wrong, &basic("bank"))).await.unwrap_err();
    assert_eq!(fields(&status), ["subject", "client_id", "page_size", "page_token"]);
    let blank = RevokeBindingRequest {
        subject: "user:alice".to_owned(),
        client_id: String::new(),
        token_binding_id: " ".to_owned(),
    };
    let status = bindings.revoke_binding(with(blank, &basic("bank"))).await.unwrap_err();
    assert_eq!(fields(&status), ["token_binding_id"]);
}

#[tokio::test]
async fn keys_are_public_and_rotating_them_is_not() {
    let channel = start().await;
    let mut keys = KeyServiceClient::new(channel.clone());
    let before = keys.get_key_set(GetKeySetRequest {}).await.unwrap().into_inner();
    assert!(before.jwks_json.contains(&before.active_key_id));
    let status = keys
        .rotate_signing_key(RotateSigningKeyRequest::default())
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    let admin = issue(&channel, asked("admin", "")).await.unwrap().access_token;
    let bearer = format!("Bearer {admin}");
    let rotated = keys
        .rotate_signing_key(with(RotateSigningKeyRequest::default(), &bearer))
        .await
        .unwrap()
        .into_inner();
    assert_ne!(rotated.active_key_id, before.active_key_id);
    let after = keys.get_key_set(GetKeySetRequest {}).await.unwrap().into_inner();
    assert!(after.jwks_json.contains(&before.active_key_id) && after.jwks_json.contains(&rotated.active_key_id));
}
