//! S1–S8: one slot, with and without a binding.

use tokenbind_proto::v1::{BindingType, Reason};
use tokenbind_tests::{Ask as _, Stack, client_credentials, on_every_backend, password};

use crate::fixture::{Shops, assert_new, assert_same};

on_every_backend!(
    s1_s6_an_empty_slot_yields_a_new_token,
    s2_an_unbound_jwt_supersedes_the_one_before,
    s3_a_bound_jwt_supersedes_the_one_of_its_binding,
    s4_a_jwt_leaves_other_bindings_alone,
    s5_an_unbound_opaque_token_is_answered_again,
    s7_a_bound_opaque_token_is_answered_again,
    s8_an_opaque_token_leaves_other_bindings_alone,
    s1_s6_a_revoked_token_makes_room,
    s13_the_password_grant_follows_the_same_rules,
    r5_a_revoked_superseded_token_leaves_its_successor,
);

async fn s1_s6_an_empty_slot_yields_a_new_token(stack: Stack) {
    let shops = Shops::create(&stack).await;
    for app in shops.both() {
        let token = stack.issue(app, client_credentials()).await.unwrap();
        assert_new(&token);
        assert!(!token.superseded);
        assert_eq!(token.scopes, ["orders.read"]);
        let binding = token.binding.unwrap();
        assert_eq!((binding.r#type(), binding.r#ref.as_str()), (BindingType::None, ""));
        stack.assert_live(&shops.api, &token.access_token).await;
    }
}

async fn s2_an_unbound_jwt_supersedes_the_one_before(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let old = stack.issue(&shops.jwt, client_credentials()).await.unwrap();
    let new = stack.issue(&shops.jwt, client_credentials()).await.unwrap();
    assert_new(&new);
    assert!(new.superseded);
    assert!(new.revision > old.revision);
    let reason = Reason::TokenSuperseded;
    stack.assert_dead(&shops.api, &old.access_token, reason).await;
    stack.assert_live(&shops.api, &new.access_token).await;
}

async fn s3_a_bound_jwt_supersedes_the_one_of_its_binding(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let ask = || client_credentials().bound_to("phone-1");
    let old = stack.issue(&shops.jwt, ask()).await.unwrap();
    let new = stack.issue(&shops.jwt, ask()).await.unwrap();
    assert_new(&new);
    assert!(new.superseded && !old.superseded);
    assert_eq!(new.binding, old.binding);
    assert_eq!(new.binding.unwrap().r#type(), BindingType::ClientRequest);
    let reason = Reason::TokenSuperseded;
    stack.assert_dead(&shops.api, &old.access_token, reason).await;
    stack.assert_live(&shops.api, &new.access_token).await;
}

async fn s4_a_jwt_leaves_other_bindings_alone(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let unbound = stack.issue(&shops.jwt, client_credentials()).await.unwrap();
    let first = client_credentials().bound_to("phone-1");
    let first = stack.issue(&shops.jwt, first).await.unwrap();
    let second = client_credentials().bound_to("phone-2");
    let second = stack.issue(&shops.jwt, second).await.unwrap();
    assert_ne!(first.binding, second.binding);
    for token in [unbound, first, second] {
        assert_new(&token);
        assert!(!token.superseded);
        stack.assert_live(&shops.api, &token.access_token).await;
    }
}

async fn s5_an_unbound_opaque_token_is_answered_again(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let first = stack.issue(&shops.opaque, client_credentials()).await.unwrap();
    let again = stack.issue(&shops.opaque, client_credentials()).await.unwrap();
    assert_new(&first);
    assert_same(&first, &again);
    stack.assert_live(&shops.api, &again.access_token).await;
}

async fn s7_a_bound_opaque_token_is_answered_again(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let ask = || client_credentials().bound_to("phone-1");
    let first = stack.issue(&shops.opaque, ask()).await.unwrap();
    let again = stack.issue(&shops.opaque, ask()).await.unwrap();
    assert_same(&first, &again);
    assert_eq!(again.binding, first.binding);
    assert_eq!(again.binding.unwrap().r#type(), BindingType::ClientRequest);
    stack.assert_live(&shops.api, &again.access_token).await;
}

async fn s8_an_opaque_token_leaves_other_bindings_alone(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let mut tokens = Vec::new();
    for id in ["", "phone-1", "phone-2"] {
        let token = stack.issue(&shops.opaque, client_credentials().bound_to(id)).await;
        let token = token.unwrap();
        assert_new(&token);
        tokens.push(token.access_token);
    }
    for token in &tokens {
        assert_eq!(tokens.iter().filter(|other| *other == token).count(), 1);
        stack.assert_live(&shops.api, token).await;
    }
}

async fn s1_s6_a_revoked_token_makes_room(stack: Stack) {
    let shops = Shops::create(&stack).await;
    for app in shops.both() {
        let old = stack.issue(app, client_credentials()).await.unwrap();
        stack.revoke(app, &old.access_token).await.unwrap();
        let new = stack.issue(app, client_credentials()).await.unwrap();
        assert_new(&new);
        assert!(!new.superseded, "there was nothing to supersede");
        assert_ne!(new.access_token, old.access_token);
        // The slot has a new owner, so the old token is not merely unknown.
        let reason = Reason::TokenSuperseded;
        stack.assert_dead(&shops.api, &old.access_token, reason).await;
        stack.assert_live(&shops.api, &new.access_token).await;
    }
}

async fn s13_the_password_grant_follows_the_same_rules(stack: Stack) {
    let shops = Shops::create(&stack).await;
    stack.user("ada", "correct horse").await;
    let ask = |id: &str| password("ada", "correct horse").bound_to(id);

    let old = stack.issue(&shops.jwt, ask("phone-1")).await.unwrap();
    let other = stack.issue(&shops.jwt, ask("phone-2")).await.unwrap();
    let new = stack.issue(&shops.jwt, ask("phone-1")).await.unwrap();
    assert!(new.superseded && !other.superseded);
    let reason = Reason::TokenSuperseded;
    stack.assert_dead(&shops.api, &old.access_token, reason).await;
    stack.assert_live(&shops.api, &other.access_token).await;
    stack.assert_live(&shops.api, &new.access_token).await;

    let first = stack.issue(&shops.opaque, ask("phone-1")).await.unwrap();
    let other = stack.issue(&shops.opaque, ask("phone-2")).await.unwrap();
    let again = stack.issue(&shops.opaque, ask("phone-1")).await.unwrap();
    assert_same(&first, &again);
    assert_ne!(first.access_token, other.access_token);
}

async fn r5_a_revoked_superseded_token_leaves_its_successor(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let old = stack.issue(&shops.jwt, client_credentials()).await.unwrap();
    let new = stack.issue(&shops.jwt, client_credentials()).await.unwrap();
    stack.revoke(&shops.jwt, &old.access_token).await.unwrap();
    stack.assert_live(&shops.api, &new.access_token).await;
}
