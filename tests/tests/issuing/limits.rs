//! S16: at most so many live bindings of one subject.

use tokenbind_proto::v1::{Application, BindingLimitPolicy, Reason, TokenFormat};
use tokenbind_tests::{Ask as _, Stack, client_credentials, on_every_backend, password, reason, shop};
use tonic::Code;

on_every_backend!(
    s16_reject_refuses_the_binding_over_the_limit,
    s16_evict_oldest_revokes_the_binding_used_longest_ago,
    s16_each_subject_has_a_limit_of_its_own,
);

fn limited(format: TokenFormat, policy: BindingLimitPolicy) -> Application {
    Application {
        max_bindings_per_subject: 2,
        binding_limit_policy: policy.into(),
        ..shop("limited", format)
    }
}

async fn s16_reject_refuses_the_binding_over_the_limit(stack: Stack) {
    let app = limited(TokenFormat::Jwt, BindingLimitPolicy::Reject);
    let app = stack.create_app(app).await.unwrap();
    let api = stack.api("api", &[&app]).await;
    let ask = |id: &str| client_credentials().bound_to(id);
    let first = stack.issue(&app, ask("phone-1")).await.unwrap();
    let second = stack.issue(&app, ask("phone-2")).await.unwrap();
    let error = stack.issue(&app, ask("phone-3")).await.unwrap_err();
    assert_eq!(error.code(), Code::FailedPrecondition);
    assert_eq!(reason(&error), "binding_limit_reached");
    stack.assert_live(&api, &first.access_token).await;
    stack.assert_live(&api, &second.access_token).await;

    // A binding that is there already may go on, in other slots too; and an unbound token counts for none.
    let again = stack.issue(&app, ask("phone-1")).await.unwrap();
    assert!(again.superseded);
    let wider = ask("phone-1").scopes(&["orders.read", "orders.write"]);
    stack.issue(&app, wider).await.unwrap();
    stack.issue(&app, client_credentials()).await.unwrap();
    // One that ends makes room.
    stack.revoke(&app, &second.access_token).await.unwrap();
    stack.issue(&app, ask("phone-3")).await.unwrap();
}

async fn s16_evict_oldest_revokes_the_binding_used_longest_ago(stack: Stack) {
    let app = limited(TokenFormat::Opaque, BindingLimitPolicy::EvictOldest);
    let app = stack.create_app(app).await.unwrap();
    let api = stack.api("api", &[&app]).await;
    let ask = |id: &str| client_credentials().bound_to(id);
    let unbound = stack.issue(&app, client_credentials()).await.unwrap();
    let first = stack.issue(&app, ask("phone-1")).await.unwrap();
    let wider = ask("phone-1").scopes(&["orders.write"]);
    let wider = stack.issue(&app, wider).await.unwrap();
    let second = stack.issue(&app, ask("phone-2")).await.unwrap();
    let third = stack.issue(&app, ask("phone-3")).await.unwrap();
    for evicted in [first, wider] {
        let reason = Reason::TokenNotLive;
        stack.assert_dead(&api, &evicted.access_token, reason).await;
    }
    for kept in [unbound, second, third] {
        stack.assert_live(&api, &kept.access_token).await;
    }
}

async fn s16_each_subject_has_a_limit_of_its_own(stack: Stack) {
    let app = limited(TokenFormat::Jwt, BindingLimitPolicy::Reject);
    let app = stack.create_app(app).await.unwrap();
    for name in ["ada", "bob"] {
        stack.user(name, "correct horse").await;
    }
    for id in ["phone-1", "phone-2"] {
        stack.issue(&app, client_credentials().bound_to(id)).await.unwrap();
        for name in ["ada", "bob"] {
            let request = password(name, "correct horse").bound_to(id);
            stack.issue(&app, request).await.unwrap();
        }
    }
    let request = password("ada", "correct horse").bound_to("phone-3");
    assert_eq!(
        stack.issue(&app, request).await.unwrap_err().code(),
        Code::FailedPrecondition
    );
}
