//! R7: revoking works when the store is full.

use tokenbind_proto::v1::{Reason, TokenFormat};
use tokenbind_tests::{Ask as _, Backend, Stack, client_credentials, retry_after};
use tonic::Code;

use crate::fixture::{Caller, own, revoke_application, revoke_binding, revoke_subject};

#[tokio::test]
async fn r7_revoking_works_when_the_store_is_full() {
    let stack = Stack::start(Backend::Redis).await;
    let app = stack.shop("shop", TokenFormat::Opaque).await;
    let other = stack.shop("other", TokenFormat::Jwt).await;
    let api = stack.api("api", &[&app, &other]).await;
    let by_token = own(&stack, &app, "phone-1").await;
    let by_binding = own(&stack, &app, "phone-2").await;
    let by_subject = own(&stack, &app, "phone-3").await;
    let by_application = own(&stack, &other, "").await;

    let mut redis = stack.redis.as_ref().unwrap().connection();
    let mut limit = |bytes: &str| {
        let set = redis::cmd("CONFIG").arg(&["SET", "maxmemory", bytes]).exec(&mut redis);
        set.unwrap();
    };
    limit("1");
    // A full store issues nothing, and says so as something that passes.
    let error = stack
        .issue(&app, client_credentials().bound_to("phone-4"))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert!(retry_after(&error).is_some());
    stack.assert_live(&api, &by_token).await;

    stack.revoke(&app, &by_token).await.unwrap();
    stack.assert_dead(&api, &by_token, Reason::TokenNotLive).await;
    let revoked = revoke_binding(&stack, Caller::App(&app), "shop", "", "phone-2").await;
    assert_eq!(revoked.unwrap(), 1);
    stack.assert_dead(&api, &by_binding, Reason::TokenNotLive).await;
    assert_eq!(revoke_subject(&stack, Caller::Admin, "shop", "").await.unwrap(), 1);
    stack.assert_dead(&api, &by_subject, Reason::TokenNotLive).await;
    revoke_application(&stack, Caller::Admin, "other").await.unwrap();
    stack
        .assert_dead(&api, &by_application, Reason::ApplicationRevoked)
        .await;

    limit("0");
    let token = own(&stack, &app, "phone-4").await;
    stack.assert_live(&api, &token).await;
}
