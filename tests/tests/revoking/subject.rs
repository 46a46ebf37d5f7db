//! R3: log out everywhere.

use tokenbind_proto::v1::Reason;
use tokenbind_tests::{Stack, on_every_backend};
use tonic::Code;

use crate::fixture::{Caller, Shops, own, revoke_subject, users};

on_every_backend!(
    r3_a_subject_is_logged_out_everywhere,
    r3_a_subject_is_logged_out_within_one_application,
    r3_all_64_slots_of_a_subject_die_at_once,
);

async fn r3_a_subject_is_logged_out_everywhere(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let mut lost = Vec::new();
    let mut kept = Vec::new();
    for app in shops.both() {
        for id in ["", "phone-1", "phone-2"] {
            lost.push(users(&stack, app, "ada", id).await);
            kept.push(users(&stack, app, "bob", id).await);
            kept.push(own(&stack, app, id).await);
        }
    }
    let revoked = revoke_subject(&stack, Caller::Admin, "user:ada", "").await;
    assert_eq!(revoked.unwrap(), 6);
    for token in &lost {
        stack.assert_dead(&shops.api, token, Reason::TokenNotLive).await;
    }
    for token in &kept {
        stack.assert_live(&shops.api, token).await;
    }
    let back = users(&stack, &shops.opaque, "ada", "phone-1").await;
    stack.assert_live(&shops.api, &back).await;
}

async fn r3_a_subject_is_logged_out_within_one_application(stack: Stack) {
    let shops = Shops::create(&stack).await;
    for (caller, client_id) in [
        (Caller::Admin, shops.jwt.id.as_str()),
        (Caller::App(&shops.jwt), ""),
        (Caller::App(&shops.jwt), &shops.jwt.id),
    ] {
        let lost = users(&stack, &shops.jwt, "ada", "phone-1").await;
        let kept = users(&stack, &shops.opaque, "ada", "phone-1").await;
        assert_eq!(revoke_subject(&stack, caller, "user:ada", client_id).await.unwrap(), 1);
        stack.assert_dead(&shops.api, &lost, Reason::TokenNotLive).await;
        stack.assert_live(&shops.api, &kept).await;
        // Another application's is not for this one to touch.
        let error = revoke_subject(&stack, Caller::App(&shops.jwt), "user:ada", &shops.opaque.id).await;
        assert_eq!(error.unwrap_err().code(), Code::PermissionDenied);
        stack.assert_live(&shops.api, &kept).await;
    }
}

async fn r3_all_64_slots_of_a_subject_die_at_once(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let mut tokens = Vec::new();
    for number in 0..32 {
        for app in shops.both() {
            tokens.push(own(&stack, app, &format!("phone-{number}")).await);
        }
    }
    // An application's own tokens are of the subject of its name.
    for app in shops.both() {
        assert_eq!(revoke_subject(&stack, Caller::Admin, &app.id, "").await.unwrap(), 32);
    }
    for verdict in stack.validate_all(&shops.api, &tokens).await {
        assert_eq!(verdict.reason(), Reason::TokenNotLive);
    }
}
