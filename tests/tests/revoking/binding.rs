//! R2: one device is lost.

use tokenbind_proto::v1::Reason;
use tokenbind_tests::{Ask as _, Stack, fields, on_every_backend, password, reason};
use tonic::Code;

use crate::fixture::{Caller, PASSWORD, Shops, own, revoke_binding, users};

on_every_backend!(
    r2_a_lost_device_loses_all_its_slots_and_no_other_does,
    r2_an_application_revokes_only_its_own,
    r2_an_id_is_compared_byte_for_byte,
    r2_bad_requests_revoke_nothing,
);

async fn r2_a_lost_device_loses_all_its_slots_and_no_other_does(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let mut lost = Vec::new();
    let mut kept = vec![own(&stack, &shops.jwt, "phone-1").await];
    for app in shops.both() {
        for scopes in [
            &["orders.read"][..],
            &["orders.read", "orders.write"],
            &["orders.delete"],
        ] {
            for audience in ["orders-api", "stock-api"] {
                let request = password("ada", PASSWORD).scopes(scopes).audiences(&[audience]);
                let token = stack.issue(app, request.bound_to("phone-1")).await.unwrap();
                lost.push(token.access_token);
            }
        }
        kept.push(users(&stack, app, "ada", "phone-2").await);
        kept.push(users(&stack, app, "ada", "").await);
        kept.push(users(&stack, app, "bob", "phone-1").await);
    }
    let revoked = revoke_binding(&stack, Caller::Admin, "user:ada", "", "phone-1").await;
    assert_eq!(revoked.unwrap(), 12);
    for token in &lost {
        stack.assert_dead(&shops.api, token, Reason::TokenNotLive).await;
    }
    for token in &kept {
        stack.assert_live(&shops.api, token).await;
    }
    let again = revoke_binding(&stack, Caller::Admin, "user:ada", "", "phone-1").await;
    assert_eq!(again.unwrap(), 0);
    // The device can come back.
    let found = users(&stack, &shops.jwt, "ada", "phone-1").await;
    stack.assert_live(&shops.api, &found).await;
}

async fn r2_an_application_revokes_only_its_own(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let caller = Caller::App(&shops.jwt);
    let mine = users(&stack, &shops.jwt, "ada", "phone-1").await;
    let theirs = users(&stack, &shops.opaque, "ada", "phone-1").await;
    let error = revoke_binding(&stack, caller, "user:ada", &shops.opaque.id, "phone-1").await;
    assert_eq!(error.unwrap_err().code(), Code::PermissionDenied);
    stack.assert_live(&shops.api, &theirs).await;
    assert_eq!(
        revoke_binding(&stack, caller, "user:ada", "", "phone-1").await.unwrap(),
        1
    );
    stack.assert_dead(&shops.api, &mine, Reason::TokenNotLive).await;
    stack.assert_live(&shops.api, &theirs).await;
    // An administrator can say within which application, too.
    let admin = revoke_binding(&stack, Caller::Admin, "user:ada", &shops.jwt.id, "phone-1").await;
    assert_eq!(admin.unwrap(), 0);
    stack.assert_live(&shops.api, &theirs).await;
}

async fn r2_an_id_is_compared_byte_for_byte(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let token = users(&stack, &shops.opaque, "ada", "caf\u{e9}").await;
    for other in ["cafe\u{301}", " caf\u{e9}", "caf\u{e9}\0", "CAF\u{c9}", "*", "caf?"] {
        let revoked = revoke_binding(&stack, Caller::Admin, "user:ada", "", other).await;
        assert_eq!(revoked.unwrap(), 0, "{other:?}");
    }
    stack.assert_live(&shops.api, &token).await;
    let revoked = revoke_binding(&stack, Caller::Admin, "user:ada", "", "caf\u{e9}").await;
    assert_eq!(revoked.unwrap(), 1);
}

async fn r2_bad_requests_revoke_nothing(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let unbound = users(&stack, &shops.opaque, "ada", "").await;
    let too_long = "x".repeat(256);
    for id in ["", "  ", &too_long] {
        let error = revoke_binding(&stack, Caller::Admin, "user:ada", "", id)
            .await
            .unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        assert_eq!(reason(&error), "invalid_request");
        assert_eq!(fields(&error), ["token_binding_id"]);
    }
    stack.assert_live(&shops.api, &unbound).await;
}
