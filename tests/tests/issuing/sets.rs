//! S10 and case 3: scopes and audiences are sets, and the slot is what is granted.

use tokenbind_proto::v1::{IssueTokenRequest, User};
use tokenbind_tests::{Ask as _, Stack, client_credentials, fields, on_every_backend, password, reason};
use tonic::Code;

use crate::fixture::{Shops, assert_new, assert_same};

on_every_backend!(
    s10_order_and_repetition_of_scopes_do_not_matter,
    s10_order_and_repetition_of_audiences_do_not_matter,
    s10_a_subset_and_a_superset_are_other_slots,
    s10_asking_for_nothing_is_asking_for_the_defaults,
    s10_the_slot_is_what_a_narrowed_user_was_granted,
    s10_a_scope_that_the_application_lacks_is_refused,
    s10_an_audience_that_the_application_lacks_is_refused,
    s10_narrowed_to_nothing_is_refused,
);

/// Both requests are for one slot.
async fn assert_one_slot(stack: &Stack, shops: &Shops, one: IssueTokenRequest, other: IssueTokenRequest) {
    let first = stack.issue(&shops.opaque, one.clone()).await.unwrap();
    let again = stack.issue(&shops.opaque, other.clone()).await.unwrap();
    assert_same(&first, &again);
    assert_eq!(first.scopes, again.scopes);
    stack.issue(&shops.jwt, one).await.unwrap();
    let new = stack.issue(&shops.jwt, other).await.unwrap();
    assert!(new.superseded);
}

/// The requests are for slots of their own.
async fn assert_slots_apart(stack: &Stack, shops: &Shops, requests: &[IssueTokenRequest]) {
    for app in shops.both() {
        let mut tokens = Vec::new();
        for request in requests {
            let token = stack.issue(app, request.clone()).await.unwrap();
            assert_new(&token);
            assert!(!token.superseded);
            tokens.push(token.access_token);
        }
        for token in &tokens {
            stack.assert_live(&shops.api, token).await;
        }
    }
}

async fn s10_order_and_repetition_of_scopes_do_not_matter(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let one = client_credentials().scopes(&["orders.read", "orders.write"]);
    let other = client_credentials().scopes(&["orders.write", "orders.read", "orders.write"]);
    assert_one_slot(&stack, &shops, one, other).await;
}

async fn s10_order_and_repetition_of_audiences_do_not_matter(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let one = client_credentials().audiences(&["orders-api", "stock-api"]);
    let other = client_credentials().audiences(&["stock-api", "orders-api", "stock-api"]);
    assert_one_slot(&stack, &shops, one, other).await;
}

async fn s10_a_subset_and_a_superset_are_other_slots(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let ask = client_credentials;
    let requests = [
        ask().scopes(&["orders.read", "orders.write"]),
        ask().scopes(&["orders.read"]),
        ask().scopes(&["orders.write"]),
        ask().scopes(&["orders.delete", "orders.read", "orders.write"]),
        ask().scopes(&["orders.read"]).audiences(&["stock-api"]),
        ask().scopes(&["orders.read"]).audiences(&["orders-api", "stock-api"]),
    ];
    assert_slots_apart(&stack, &shops, &requests).await;
}

async fn s10_asking_for_nothing_is_asking_for_the_defaults(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let named = client_credentials().scopes(&["orders.read"]).audiences(&["orders-api"]);
    assert_one_slot(&stack, &shops, client_credentials(), named).await;
}

async fn s10_the_slot_is_what_a_narrowed_user_was_granted(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let user = User {
        username: "ada".to_owned(),
        scopes: vec!["orders.read".to_owned(), "elsewhere".to_owned()],
        ..Default::default()
    };
    stack.create_user(user, "correct horse").await.unwrap();
    let ask = || password("ada", "correct horse");
    let narrowed = ask().scopes(&["orders.write", "orders.read", "orders.delete"]);
    let token = stack.issue(&shops.opaque, narrowed.clone()).await.unwrap();
    assert_eq!(token.scopes, ["orders.read"]);
    assert_one_slot(&stack, &shops, narrowed, ask().scopes(&["orders.read"])).await;
}

async fn s10_a_scope_that_the_application_lacks_is_refused(stack: Stack) {
    let shops = Shops::create(&stack).await;
    for app in shops.both() {
        let request = client_credentials().scopes(&["orders.read", "orders.admin", "Orders.read"]);
        let error = stack.issue(app, request).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        assert_eq!(reason(&error), "invalid_scope");
        assert_eq!(fields(&error), ["scopes[1]", "scopes[2]"]);
        stack.issue(app, client_credentials()).await.unwrap();
    }
}

async fn s10_an_audience_that_the_application_lacks_is_refused(stack: Stack) {
    let shops = Shops::create(&stack).await;
    for app in shops.both() {
        let request = client_credentials().audiences(&["orders-api", "tokenbind"]);
        let error = stack.issue(app, request).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        assert_eq!(reason(&error), "invalid_target");
        assert_eq!(fields(&error), ["audiences[1]"]);
        stack.issue(app, client_credentials()).await.unwrap();
    }
}

async fn s10_narrowed_to_nothing_is_refused(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let user = User {
        username: "ada".to_owned(),
        scopes: vec!["orders.write".to_owned()],
        ..Default::default()
    };
    stack.create_user(user, "correct horse").await.unwrap();
    let ask = || password("ada", "correct horse");
    for refused in [ask(), ask().scopes(&["orders.read"])] {
        let error = stack.issue(&shops.jwt, refused).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        assert_eq!(reason(&error), "invalid_scope");
    }
    let token = stack.issue(&shops.jwt, ask().scopes(&["orders.write"])).await.unwrap();
    assert_eq!(token.scopes, ["orders.write"]);
}
