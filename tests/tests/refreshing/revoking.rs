use tokenbind_proto::v1::{
    DeleteUserRequest, ListBindingsRequest, LiveBinding, Reason, RevokeApplicationRequest, RevokeBindingRequest,
    RevokeSubjectRequest, TokenFormat, UpdateUserRequest, User,
};
use tokenbind_tests::{App, Stack, mask, password, reason};

use crate::fixture::{PASSWORD, Shop};

tokenbind_tests::on_every_backend!(
    r1_c24_a_refresh_token_takes_its_access_tokens_with_it,
    r2_r3_r4_every_revocation_reaches_refresh_tokens,
    r8_logins_are_listed,
    a_user_who_is_stopped_cannot_refresh
);

async fn r1_c24_a_refresh_token_takes_its_access_tokens_with_it(stack: Stack) {
    let shop = Shop::create(&stack, TokenFormat::Opaque, 1).await;
    let stranger = stack.shop("stranger", TokenFormat::Jwt).await;
    let (first, other) = (shop.login(&stack, "phone-1").await, shop.login(&stack, "phone-2").await);
    let second = shop.refresh(&stack, &first).await.unwrap();
    let error = stack.revoke(&stranger, &second.refresh_token).await.unwrap_err();
    assert_eq!(reason(&error), "unauthorized_client");
    stack.assert_live(&shop.api, &second.access_token).await;
    for _ in 0..2 {
        stack.revoke(&shop.app, &second.refresh_token).await.unwrap();
    }
    stack
        .assert_dead(&shop.api, &second.access_token, Reason::TokenNotLive)
        .await;
    for dead in [&first, &second] {
        assert_eq!(reason(&shop.refresh(&stack, dead).await.unwrap_err()), "invalid_grant");
    }
    stack.assert_live(&shop.api, &other.access_token).await;
    shop.refresh(&stack, &other).await.unwrap();

    // Revoking an access token alone leaves the login (RFC 7009, section 2.1).
    let third = shop.login(&stack, "phone-3").await;
    stack.revoke(&shop.app, &third.access_token).await.unwrap();
    let next = shop.refresh(&stack, &third).await.unwrap();
    stack.assert_live(&shop.api, &next.access_token).await;
}

async fn r2_r3_r4_every_revocation_reaches_refresh_tokens(stack: Stack) {
    let shop = Shop::create(&stack, TokenFormat::Jwt, 1).await;
    let (phone, other) = (shop.login(&stack, "phone-1").await, shop.login(&stack, "phone-2").await);
    let lost = stack.as_admin(RevokeBindingRequest {
        subject: "user:ada".to_owned(),
        token_binding_id: "phone-1".to_owned(),
        ..Default::default()
    });
    let revoked = stack.bindings().revoke_binding(lost).await.unwrap().into_inner();
    assert_eq!(revoked.revoked, 2, "the access token and the refresh token");
    assert_eq!(
        reason(&shop.refresh(&stack, &phone).await.unwrap_err()),
        "invalid_grant"
    );
    let other = shop.refresh(&stack, &other).await.unwrap();

    let everywhere = stack.as_admin(RevokeSubjectRequest {
        subject: "user:ada".to_owned(),
        ..Default::default()
    });
    let revoked = stack.bindings().revoke_subject(everywhere).await.unwrap().into_inner();
    assert_eq!(revoked.revoked, 2);
    assert_eq!(
        reason(&shop.refresh(&stack, &other).await.unwrap_err()),
        "invalid_grant"
    );

    let token = shop.login(&stack, "phone-1").await;
    let application = stack.as_admin(RevokeApplicationRequest {
        client_id: shop.app.id.clone(),
    });
    stack.bindings().revoke_application(application).await.unwrap();
    assert_eq!(
        reason(&shop.refresh(&stack, &token).await.unwrap_err()),
        "invalid_grant"
    );
    let token = shop.login(&stack, "phone-1").await;
    shop.refresh(&stack, &token).await.unwrap();
}

async fn list(stack: &Stack) -> Vec<LiveBinding> {
    let request = stack.as_admin(ListBindingsRequest {
        subject: "user:ada".to_owned(),
        ..Default::default()
    });
    stack
        .bindings()
        .list_bindings(request)
        .await
        .unwrap()
        .into_inner()
        .bindings
}

async fn r8_logins_are_listed(stack: Stack) {
    let shop = Shop::create(&stack, TokenFormat::Jwt, 1).await;
    let token = shop.login(&stack, "phone-1").await;
    stack.revoke(&shop.app, &token.access_token).await.unwrap();
    let found = list(&stack).await;
    assert_eq!(found.len(), 1, "{found:?}");
    let login = &found[0];
    assert!(login.refreshable);
    assert_eq!((&login.client_id, &login.binding), (&shop.app.id, &token.binding));
    assert_eq!(login.scopes, token.scopes);
    let seconds = |at: Option<prost_types::Timestamp>| at.unwrap().seconds;
    let left = seconds(login.expires_at) - seconds(login.issued_at);
    assert!((604_799..=604_801).contains(&left), "{left}");
    shop.refresh(&stack, &token).await.unwrap();
    let kinds: Vec<_> = list(&stack).await.iter().map(|live| live.refreshable).collect();
    assert_eq!(kinds, [false, true], "those that end first first");
}

async fn a_user_who_is_stopped_cannot_refresh(stack: Stack) {
    let shop = Shop::create(&stack, TokenFormat::Jwt, 1).await;
    let ada = |disabled| User {
        username: "ada".to_owned(),
        disabled,
        ..Default::default()
    };
    let update = async |user: User, fields: &[&str], password: &str| {
        let request = stack.as_admin(UpdateUserRequest {
            user: Some(user),
            update_mask: Some(mask(fields)),
            password: password.to_owned(),
        });
        stack.users().update_user(request).await.unwrap();
    };
    let token = shop.login(&stack, "phone-1").await;
    update(ada(true), &["disabled"], "").await;
    assert_eq!(
        reason(&shop.refresh(&stack, &token).await.unwrap_err()),
        "invalid_grant"
    );
    update(ada(false), &["disabled"], "").await;
    assert_eq!(
        reason(&shop.refresh(&stack, &token).await.unwrap_err()),
        "invalid_grant"
    );

    let token = shop.login(&stack, "phone-1").await;
    update(ada(false), &["password"], "another horse").await;
    assert_eq!(
        reason(&shop.refresh(&stack, &token).await.unwrap_err()),
        "invalid_grant"
    );
    update(ada(false), &["password"], PASSWORD).await;

    let token = shop.login(&stack, "phone-1").await;
    let deleted = stack.as_admin(DeleteUserRequest {
        username: "ada".to_owned(),
    });
    stack.users().delete_user(deleted).await.unwrap();
    assert_eq!(
        reason(&shop.refresh(&stack, &token).await.unwrap_err()),
        "invalid_grant"
    );
    stack.user("ada", PASSWORD).await;
    assert_eq!(
        reason(&shop.refresh(&stack, &token).await.unwrap_err()),
        "invalid_grant"
    );
    assert!(login(&stack, &shop.app).await);
}

async fn login(stack: &Stack, app: &App) -> bool {
    stack.issue(app, password("ada", PASSWORD)).await.is_ok()
}
