//! V12; C26–C28, C30: RFC 7662.

use tokenbind_proto::v1::{IntrospectTokenResponse, Resource as Api, User};
use tokenbind_tests::{Ask as _, Stack, api, client_credentials, on_every_backend, password};

use crate::fixture::{Shops, issue};

on_every_backend!(
    v12_a_live_token_is_introspected,
    v12_c27_what_is_not_live_is_inactive_and_nothing_else,
    v12_c28_a_caller_outside_the_audience_learns_nothing,
);

async fn v12_a_live_token_is_introspected(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let user = User {
        username: "ada".to_owned(),
        ..Default::default()
    };
    stack.create_user(user, "correct horse").await.unwrap();
    for app in shops.both() {
        let ask = password("ada", "correct horse").scopes(&["orders.write", "orders.read"]);
        let issued = stack.issue(app, ask.bound_to("phone-1")).await.unwrap();
        let found = stack.introspect(&shops.api, &issued.access_token).await.unwrap();
        assert!(found.active);
        assert_eq!(found.scope, "orders.read orders.write");
        assert_eq!(found.client_id, app.id);
        assert_eq!(found.username, "ada");
        assert_eq!(found.sub, "user:ada");
        assert_eq!(found.aud, ["orders-api"]);
        assert_eq!(found.token_type, "Bearer");
        assert!((3_599..=3_600).contains(&(found.exp - found.iat)));
        assert!(!found.jti.is_empty());
        assert_eq!(found.binding_type, "client-request");
        assert_eq!(found.binding_ref, issued.binding.unwrap().r#ref);
        assert_eq!(found.aut, "APPLICATION_USER");
        assert_eq!(found.cnf, None);

        let own = stack.issue(app, client_credentials()).await.unwrap();
        let found = stack.introspect(&shops.api, &own.access_token).await.unwrap();
        assert_eq!((found.sub.as_str(), found.username.as_str()), (app.id.as_str(), ""));
        assert_eq!((found.binding_type.as_str(), found.binding_ref.as_str()), ("none", ""));
        assert_eq!(found.aut, "APPLICATION");
    }
}

async fn v12_c27_what_is_not_live_is_inactive_and_nothing_else(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let superseded = issue(&stack, &shops.jwt, "").await;
    let live = issue(&stack, &shops.jwt, "").await;
    let revoked = issue(&stack, &shops.opaque, "").await;
    stack.revoke(&shops.opaque, &revoked).await.unwrap();
    for dead in [superseded.as_str(), &revoked, "nonsense", "a.b.c", "tbo_x", "\0"] {
        let found = stack.introspect(&shops.api, dead).await.unwrap();
        assert_eq!(found, IntrospectTokenResponse::default());
    }
    assert!(stack.introspect(&shops.api, &live).await.unwrap().active);
}

async fn v12_c28_a_caller_outside_the_audience_learns_nothing(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let outside = Api {
        audiences: vec!["elsewhere".to_owned()],
        ..api("outside", &[&shops.jwt, &shops.opaque])
    };
    let outside = stack.create_resource(outside).await.unwrap();
    for app in shops.both() {
        let token = issue(&stack, app, "phone-1").await;
        let found = stack.introspect(&outside, &token).await.unwrap();
        assert_eq!(found, IntrospectTokenResponse::default());
        assert!(stack.introspect(&shops.api, &token).await.unwrap().active);
    }
}
