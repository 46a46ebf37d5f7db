//! R1, R5: by token (RFC 7009).

use tokenbind_proto::v1::{Reason, RevokeTokenRequest};
use tokenbind_tests::{App, Stack, on_every_backend, reason, with_authorization};
use tonic::Code;

use crate::fixture::{Shops, own};

on_every_backend!(
    r1_a_revoked_token_is_dead_and_nothing_else_is,
    r1_c21_an_unknown_token_is_fine,
    r1_c22_a_token_of_another_application_is_refused_and_lives,
    r1_c23_a_wrong_hint_still_revokes,
    r1_wrong_credentials_revoke_nothing,
    r5_a_superseded_token_revokes_nothing,
);

async fn r1_a_revoked_token_is_dead_and_nothing_else_is(stack: Stack) {
    let shops = Shops::create(&stack).await;
    for app in shops.both() {
        let token = own(&stack, app, "phone-1").await;
        let others = [own(&stack, app, "").await, own(&stack, app, "phone-2").await];
        let revoked = stack.revoke(app, &token).await.unwrap();
        assert!(revoked.revision > 0);
        stack.assert_dead(&shops.api, &token, Reason::TokenNotLive).await;
        // Once more changes nothing.
        stack.revoke(app, &token).await.unwrap();
        for other in &others {
            stack.assert_live(&shops.api, other).await;
        }
    }
}

async fn r1_c21_an_unknown_token_is_fine(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let live = own(&stack, &shops.opaque, "").await;
    let forged: String = live.chars().rev().collect();
    let truncated = &live[..live.len() - 1];
    let longest = "x".repeat(8_192);
    for unknown in ["x", "a.b.c", "tbo_", "tbo_x", "\0", "..", &forged, truncated, &longest] {
        stack.revoke(&shops.jwt, unknown).await.unwrap();
        stack.revoke(&shops.opaque, unknown).await.unwrap();
    }
    stack.assert_live(&shops.api, &live).await;
}

async fn r1_c22_a_token_of_another_application_is_refused_and_lives(stack: Stack) {
    let shops = Shops::create(&stack).await;
    for (owner, other) in [(&shops.jwt, &shops.opaque), (&shops.opaque, &shops.jwt)] {
        let token = own(&stack, owner, "phone-1").await;
        let error = stack.revoke(other, &token).await.unwrap_err();
        assert_eq!(error.code(), Code::PermissionDenied);
        assert_eq!(reason(&error), "unauthorized_client");
        stack.assert_live(&shops.api, &token).await;
        stack.revoke(owner, &token).await.unwrap();
        stack.assert_dead(&shops.api, &token, Reason::TokenNotLive).await;
    }
}

async fn r1_c23_a_wrong_hint_still_revokes(stack: Stack) {
    let shops = Shops::create(&stack).await;
    for hint in ["", "access_token", "refresh_token", "nonsense"] {
        let token = own(&stack, &shops.jwt, "").await;
        let request = RevokeTokenRequest {
            token: token.clone(),
            token_type_hint: hint.to_owned(),
            ..Default::default()
        };
        let request = with_authorization(request, &shops.jwt.basic());
        stack.tokens().revoke_token(request).await.unwrap();
        stack.assert_dead(&shops.api, &token, Reason::TokenNotLive).await;
    }
}

async fn r1_wrong_credentials_revoke_nothing(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let token = own(&stack, &shops.jwt, "").await;
    let wrong = [
        App {
            id: shops.jwt.id.clone(),
            secret: shops.opaque.secret.clone(),
        },
        App {
            id: shops.jwt.id.clone(),
            secret: String::new(),
        },
        App {
            id: "nobody".to_owned(),
            secret: shops.jwt.secret.clone(),
        },
        App {
            id: String::new(),
            secret: String::new(),
        },
    ];
    for app in &wrong {
        let error = stack.revoke(app, &token).await.unwrap_err();
        assert_eq!(error.code(), Code::Unauthenticated);
        assert_eq!(reason(&error), "invalid_client");
    }
    stack.assert_live(&shops.api, &token).await;
}

async fn r5_a_superseded_token_revokes_nothing(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let old = own(&stack, &shops.jwt, "phone-1").await;
    let new = own(&stack, &shops.jwt, "phone-1").await;
    stack.revoke(&shops.jwt, &old).await.unwrap();
    stack.assert_live(&shops.api, &new).await;
    stack.assert_dead(&shops.api, &old, Reason::TokenSuperseded).await;
    // The same for an opaque token whose slot was emptied and taken again.
    let old = own(&stack, &shops.opaque, "phone-1").await;
    stack.revoke(&shops.opaque, &old).await.unwrap();
    let new = own(&stack, &shops.opaque, "phone-1").await;
    stack.revoke(&shops.opaque, &old).await.unwrap();
    stack.assert_live(&shops.api, &new).await;
}
