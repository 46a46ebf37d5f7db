//! R8: what is live, and never the token or the raw id.

use tokenbind_proto::v1::{BindingType, ListBindingsRequest, LiveBinding, TokenFormat};
use tokenbind_tests::{Ask as _, Stack, bearer, fields, on_every_backend, password, reason, with_authorization};
use tonic::Code;

use crate::fixture::{Caller, PASSWORD, Shops, list, own, users};

on_every_backend!(
    r8_a_list_says_what_is_live_and_no_more,
    r8_a_list_has_pages,
    r8_an_application_sees_only_its_own,
    r8_who_may_not_ask_gets_no_list,
);

async fn r8_a_list_says_what_is_live_and_no_more(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let wide = ["orders.read", "orders.write"];
    let request = password("ada", PASSWORD).scopes(&wide).bound_to("phone-1");
    let bound = stack.issue(&shops.jwt, request).await.unwrap();
    let unbound = stack.issue(&shops.opaque, password("ada", PASSWORD)).await.unwrap();
    let dead = users(&stack, &shops.opaque, "ada", "phone-2").await;
    stack.revoke(&shops.opaque, &dead).await.unwrap();
    users(&stack, &shops.opaque, "bob", "phone-3").await;

    let found = list(&stack, Caller::Admin, "user:ada", "", 0).await.unwrap();
    assert_eq!(found.len(), 2);
    let jwt = found.iter().find(|one| one.client_id == "jwt").unwrap();
    assert_eq!(jwt.scopes, wide);
    assert!(jwt.audiences.is_empty(), "the token alone says them");
    assert_eq!(jwt.token_format(), TokenFormat::Jwt);
    assert_eq!(jwt.binding, bound.binding);
    let (issued, expires) = (jwt.issued_at.unwrap(), jwt.expires_at.unwrap());
    assert!((3_599..=3_601).contains(&(expires.seconds - issued.seconds)));
    let opaque = found.iter().find(|one| one.client_id == "opaque").unwrap();
    assert_eq!(opaque.token_format(), TokenFormat::Opaque);
    assert_eq!(opaque.audiences, ["orders-api"]);
    assert_eq!(opaque.binding.as_ref().unwrap().r#type(), BindingType::None);

    let shown = format!("{found:?}");
    for hidden in ["phone-1", &bound.access_token, &unbound.access_token] {
        assert!(!shown.contains(hidden));
    }
    // A superseded token leaves one entry, not two.
    users(&stack, &shops.jwt, "ada", "").await;
    users(&stack, &shops.jwt, "ada", "").await;
    assert_eq!(list(&stack, Caller::Admin, "user:ada", "", 0).await.unwrap().len(), 3);
    assert_eq!(list(&stack, Caller::Admin, "user:nobody", "", 0).await.unwrap(), []);
}

async fn r8_a_list_has_pages(stack: Stack) {
    let shops = Shops::create(&stack).await;
    for number in 0..13 {
        own(&stack, &shops.opaque, &format!("phone-{number}")).await;
    }
    let end = |one: &LiveBinding| {
        let end = one.expires_at.unwrap();
        (end.seconds, end.nanos / 1_000_000)
    };
    let name = |one: &LiveBinding| one.binding.as_ref().unwrap().r#ref.clone();
    let mut all = list(&stack, Caller::Admin, "opaque", "", 0).await.unwrap();
    assert_eq!(all.len(), 13);
    assert!(all.is_sorted_by_key(end), "on a page");
    all.sort_by_key(name);
    for page_size in [1, 4, 13, 1_000] {
        let mut paged = list(&stack, Caller::Admin, "opaque", "", page_size).await.unwrap();
        paged.sort_by_key(name);
        assert_eq!(paged, all);
    }
    for (page_size, page_token, field) in [(1_001, "", "page_size"), (0, "nonsense!", "page_token")] {
        let request = stack.as_admin(ListBindingsRequest {
            subject: "opaque".to_owned(),
            page_size,
            page_token: page_token.to_owned(),
            ..Default::default()
        });
        let error = stack.bindings().list_bindings(request).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        assert_eq!(fields(&error), [field]);
    }
}

async fn r8_an_application_sees_only_its_own(stack: Stack) {
    let shops = Shops::create(&stack).await;
    for app in shops.both() {
        for id in ["phone-1", "phone-2"] {
            users(&stack, app, "ada", id).await;
        }
    }
    let caller = Caller::App(&shops.jwt);
    for client_id in ["", "jwt"] {
        for page_size in [0, 1] {
            let found = list(&stack, caller, "user:ada", client_id, page_size).await.unwrap();
            assert_eq!(found.len(), 2);
            assert!(found.iter().all(|one| one.client_id == "jwt"));
        }
    }
    let error = list(&stack, caller, "user:ada", "opaque", 0).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
    assert_eq!(list(&stack, Caller::Admin, "user:ada", "", 0).await.unwrap().len(), 4);
    assert_eq!(
        list(&stack, Caller::Admin, "user:ada", "opaque", 0)
            .await
            .unwrap()
            .len(),
        2
    );
}

async fn r8_who_may_not_ask_gets_no_list(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let token = own(&stack, &shops.jwt, "").await;
    let message = || ListBindingsRequest {
        subject: "jwt".to_owned(),
        ..Default::default()
    };
    let nobody = stack.bindings().list_bindings(message()).await.unwrap_err();
    assert_eq!(nobody.code(), Code::Unauthenticated);
    let wrong = with_authorization(message(), &tokenbind_tests::basic("jwt", "wrong"));
    let wrong = stack.bindings().list_bindings(wrong).await.unwrap_err();
    assert_eq!(
        (wrong.code(), reason(&wrong).as_str()),
        (Code::Unauthenticated, "invalid_client")
    );
    let nonsense = with_authorization(message(), &bearer("nonsense"));
    let nonsense = stack.bindings().list_bindings(nonsense).await.unwrap_err();
    assert_eq!(
        (nonsense.code(), reason(&nonsense).as_str()),
        (Code::Unauthenticated, "invalid_token")
    );
    // A good token, but no administrator's.
    let ordinary = with_authorization(message(), &bearer(&token));
    let ordinary = stack.bindings().list_bindings(ordinary).await.unwrap_err();
    assert_eq!(
        (ordinary.code(), reason(&ordinary).as_str()),
        (Code::PermissionDenied, "insufficient_scope")
    );
    assert_eq!(list(&stack, Caller::Admin, "jwt", "", 0).await.unwrap().len(), 1);
}
