//! R4: every token that an application was ever issued.

use tokenbind_proto::v1::{Application, DeleteApplicationRequest, Reason, TokenFormat};
use tokenbind_tests::{Stack, on_every_backend, shop};
use tonic::Code;

use crate::fixture::{Caller, Shops, list, own, revoke_application, users};

on_every_backend!(
    r4_every_token_of_an_application_dies_at_once,
    r4_an_application_revokes_itself_and_no_other,
    r4_a_deleted_application_stays_revoked_when_one_of_its_name_is_made_again,
    r4_a_disabled_application_is_refused_until_it_is_enabled,
);

async fn r4_every_token_of_an_application_dies_at_once(stack: Stack) {
    let shops = Shops::create(&stack).await;
    for (app, other) in [(&shops.jwt, &shops.opaque), (&shops.opaque, &shops.jwt)] {
        let kept = users(&stack, other, "bob", "phone-9").await;
        let mut lost = Vec::new();
        for name in ["ada", "bob"] {
            for id in ["", "phone-1", "phone-2"] {
                lost.push(users(&stack, app, name, id).await);
            }
        }
        lost.push(own(&stack, app, "phone-1").await);
        let revoked = revoke_application(&stack, Caller::Admin, &app.id).await.unwrap();
        assert!(revoked.revision > 0);
        for token in &lost {
            stack.assert_dead(&shops.api, token, Reason::ApplicationRevoked).await;
        }
        stack.assert_live(&shops.api, &kept).await;
        assert_eq!(list(&stack, Caller::Admin, "user:ada", &app.id, 0).await.unwrap(), []);
        // A token from now on is good, also in a slot that had one, and it is a new one.
        let new = users(&stack, app, "ada", "phone-1").await;
        assert!(!lost.contains(&new));
        stack.assert_live(&shops.api, &new).await;
        stack
            .assert_dead(&shops.api, &lost[0], Reason::ApplicationRevoked)
            .await;
    }
}

async fn r4_an_application_revokes_itself_and_no_other(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let mine = own(&stack, &shops.jwt, "").await;
    let theirs = own(&stack, &shops.opaque, "").await;
    let caller = Caller::App(&shops.jwt);
    let error = revoke_application(&stack, caller, &shops.opaque.id).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
    stack.assert_live(&shops.api, &mine).await;
    revoke_application(&stack, caller, &shops.jwt.id).await.unwrap();
    stack.assert_dead(&shops.api, &mine, Reason::ApplicationRevoked).await;
    stack.assert_live(&shops.api, &theirs).await;
    let error = revoke_application(&stack, Caller::Admin, "nobody").await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
}

async fn r4_a_deleted_application_stays_revoked_when_one_of_its_name_is_made_again(stack: Stack) {
    let shops = Shops::create(&stack).await;
    for (app, format) in [(&shops.jwt, TokenFormat::Jwt), (&shops.opaque, TokenFormat::Opaque)] {
        let old = own(&stack, app, "phone-1").await;
        let request = stack.as_admin(DeleteApplicationRequest {
            client_id: app.id.clone(),
        });
        stack.applications().delete_application(request).await.unwrap();
        stack.assert_dead(&shops.api, &old, Reason::ApplicationRevoked).await;
        let again = stack.shop(&app.id, format).await;
        assert_ne!(again.secret, app.secret);
        stack.assert_dead(&shops.api, &old, Reason::ApplicationRevoked).await;
        let new = own(&stack, &again, "phone-1").await;
        assert!(new != old);
        stack.assert_live(&shops.api, &new).await;
    }
}

async fn r4_a_disabled_application_is_refused_until_it_is_enabled(stack: Stack) {
    let shops = Shops::create(&stack).await;
    for (app, format) in [(&shops.jwt, TokenFormat::Jwt), (&shops.opaque, TokenFormat::Opaque)] {
        let token = own(&stack, app, "phone-1").await;
        let disabled = |disabled| Application {
            disabled,
            ..shop(&app.id, format)
        };
        stack.update_app(disabled(true), &["disabled"]).await.unwrap();
        stack.assert_dead(&shops.api, &token, Reason::ApplicationDisabled).await;
        let error = stack.issue(app, tokenbind_tests::client_credentials()).await;
        assert_eq!(error.unwrap_err().code(), Code::Unauthenticated);
        stack.update_app(disabled(false), &["disabled"]).await.unwrap();
        own(&stack, app, "phone-2").await;
    }
}
