//! A token is good for what it is and for nothing else, and only while it lives.

use tokenbind_proto::v1::issue_token_request::Grant;
use tokenbind_proto::v1::{
    ListBindingsRequest, RevokeApplicationRequest, TokenFormat, UpdateApplicationRequest, UpdateUserRequest, User,
};
use tokenbind_tests::{
    ACCESS_TOKEN, Ask as _, bearer, client_credentials, exchange, exchange_with, jwt_bearer, mask, password, reason,
    refresh, shop, with_authorization,
};

use crate::in_every_setting;
use crate::setting::Setting;

in_every_setting!(
    a_token_of_one_kind_is_none_of_another,
    a_subject_token_that_died_gives_nothing
);

async fn a_token_of_one_kind_is_none_of_another(setting: Setting) {
    let (cart, pod) = (&setting.carts[0], setting.pod("cart"));
    for shop in &setting.shops {
        let login = password("carol", "correct horse").bound_to("phone");
        let login = setting.issue(shop, login).await.unwrap();
        let (access, fresh) = (&login.access_token, &login.refresh_token);
        let mut as_access = exchange(fresh).bound_to("phone");
        if let Some(Grant::TokenExchange(grant)) = &mut as_access.grant {
            ACCESS_TOKEN.clone_into(&mut grant.subject_token_type);
        }
        let asserted = |assertion: &str| {
            let mut request = client_credentials();
            request.client_id.clone_from(&shop.id);
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".clone_into(&mut request.client_assertion_type);
            assertion.clone_into(&mut request.client_assertion);
            request
        };
        for (name, request, expected) in [
            (
                "a refresh token as subject",
                exchange(fresh).bound_to("phone"),
                "invalid_request",
            ),
            ("a refresh token as access token", as_access, "invalid_request"),
            (
                "a refresh token as actor",
                exchange_with(access, fresh).bound_to("phone"),
                "invalid_request",
            ),
            ("a refresh token as assertion", jwt_bearer(fresh), "invalid_grant"),
            ("an access token as assertion", jwt_bearer(access), "invalid_grant"),
        ] {
            let error = setting.issue(cart, request).await.expect_err(name);
            assert_eq!(reason(&error), expected, "{name}");
        }
        for (name, token) in [("access", access), ("somebody else's", &pod)] {
            let error = setting.issue(shop, refresh(token)).await.expect_err(name);
            assert_eq!(reason(&error), "invalid_grant", "{name} as refresh token");
        }
        for proof in [access, fresh, &pod] {
            let error = setting.stack.tokens().issue_token(asserted(proof)).await.unwrap_err();
            assert_eq!(reason(&error), "invalid_client");
        }
        for token in [access, fresh, &pod] {
            let list = ListBindingsRequest {
                subject: "user:carol".to_owned(),
                ..Default::default()
            };
            let listing = with_authorization(list, &bearer(token));
            setting.stack.bindings().list_bindings(listing).await.unwrap_err();
        }
        setting.issue(cart, exchange(access).bound_to("phone")).await.unwrap();
        setting.issue(shop, refresh(fresh).bound_to("phone")).await.unwrap();
    }
}

async fn a_subject_token_that_died_gives_nothing(setting: Setting) {
    let cart = &setting.carts[0];
    let refused = async |token: &str, why: &str| {
        let error = setting.issue(cart, exchange(token)).await.expect_err(why);
        assert_eq!(reason(&error), "invalid_request", "{why}");
    };
    let [jwt, opaque] = &setting.shops;
    let superseded = setting.login(jwt, "").await;
    let live = setting.login(jwt, "").await;
    refused(&superseded, "superseded").await;
    setting.issue(cart, exchange(&live)).await.unwrap();

    let revoke = setting.stack.as_admin(RevokeApplicationRequest {
        client_id: jwt.id.clone(),
    });
    setting.stack.bindings().revoke_application(revoke).await.unwrap();
    refused(&live, "its application was revoked").await;
    let live = setting.login(opaque, "").await;
    let disabled = |disabled| {
        let mut application = shop(&opaque.id, TokenFormat::Opaque);
        application.disabled = disabled;
        setting.stack.as_admin(UpdateApplicationRequest {
            application: Some(application),
            update_mask: Some(mask(&["disabled"])),
        })
    };
    setting.issue(cart, exchange(&live)).await.unwrap();
    setting
        .stack
        .applications()
        .update_application(disabled(true))
        .await
        .unwrap();
    refused(&live, "its application is disabled").await;
    setting
        .stack
        .applications()
        .update_application(disabled(false))
        .await
        .unwrap();
    let live = setting.login(opaque, "").await;
    setting.issue(cart, exchange(&live)).await.unwrap();
    let stop = setting.stack.as_admin(UpdateUserRequest {
        user: Some(User {
            username: "carol".to_owned(),
            disabled: true,
            ..Default::default()
        }),
        update_mask: Some(mask(&["disabled"])),
        ..Default::default()
    });
    setting.stack.users().update_user(stop).await.unwrap();
    refused(&live, "its user is disabled").await;
    setting.issue(cart, exchange(&setting.pod("cart"))).await.unwrap();
}
