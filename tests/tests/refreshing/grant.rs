use tokenbind_proto::v1::{GrantType, Reason, TokenFormat};
use tokenbind_tests::{Ask as _, Stack, client_credentials, fields, password, reason, refresh};
use tonic::Code;

use crate::fixture::{FORMATS, PASSWORD, Shop, refreshing};

tokenbind_tests::on_every_backend!(
    c11_only_a_login_has_a_refresh_token,
    s13_s14_a_refresh_inherits_the_binding_and_follows_the_slot,
    c10_nothing_widens_and_no_other_client_can_use_it,
    c9_a_narrowed_scope_in_an_occupied_slot,
    c75_a_second_use_ends_the_login,
    what_is_no_refresh_token_is_refused
);

async fn two(stack: &Stack) -> Vec<Shop> {
    let mut shops = Vec::new();
    stack.user("ada", PASSWORD).await;
    for (format, name) in FORMATS.into_iter().zip(["jwt", "opaque"]) {
        let app = stack.create_app(refreshing(name, format, 0)).await.unwrap();
        let api = stack.api(&format!("{name}-api"), &[&app]).await;
        shops.push(Shop { app, api });
    }
    shops
}

async fn c11_only_a_login_has_a_refresh_token(stack: Stack) {
    for shop in two(&stack).await {
        let token = shop.login(&stack, "phone-1").await;
        assert!(token.refresh_token.starts_with("tbr_"));
        assert_eq!(token.refresh_expires_in, 604_800);
        let own = stack.issue(&shop.app, client_credentials()).await.unwrap();
        assert_eq!((own.refresh_token.as_str(), own.refresh_expires_in), ("", 0));
    }
    let plain = stack.shop("plain", TokenFormat::Jwt).await;
    let login = stack.issue(&plain, password("ada", PASSWORD)).await.unwrap();
    assert!(login.refresh_token.is_empty());
    let error = stack.issue(&plain, refresh("tbr_")).await.unwrap_err();
    assert_eq!(
        (error.code(), reason(&error)),
        (Code::PermissionDenied, "unauthorized_client".to_owned())
    );
}

async fn s13_s14_a_refresh_inherits_the_binding_and_follows_the_slot(stack: Stack) {
    for shop in two(&stack).await {
        let (phone, other) = (shop.login(&stack, "phone-1").await, shop.login(&stack, "phone-2").await);
        for wrong in ["phone-2", "Phone-1", "phone-1 "] {
            let request = refresh(&phone.refresh_token).bound_to(wrong);
            let error = stack.issue(&shop.app, request).await.unwrap_err();
            assert_eq!(
                (error.code(), reason(&error)),
                (Code::Unauthenticated, "invalid_grant".to_owned())
            );
        }
        stack.assert_live(&shop.api, &phone.access_token).await;
        let mut last = phone;
        for same in ["phone-1", "", " "] {
            let request = refresh(&last.refresh_token).bound_to(same);
            let next = stack.issue(&shop.app, request).await.unwrap();
            assert_eq!((&next.binding, &next.scopes), (&last.binding, &last.scopes));
            assert_ne!(next.refresh_token, last.refresh_token);
            assert_eq!(next.reused, next.access_token == last.access_token);
            assert_eq!(next.superseded, !next.reused);
            stack.assert_live(&shop.api, &next.access_token).await;
            last = next;
        }
        stack.assert_live(&shop.api, &other.access_token).await;
    }
}

async fn c10_nothing_widens_and_no_other_client_can_use_it(stack: Stack) {
    let shops = two(&stack).await;
    for (shop, other) in shops.iter().zip(shops.iter().rev()) {
        let token = shop.login(&stack, "phone-1").await;
        let wider = refresh(&token.refresh_token).scopes(&["orders.read", "orders.write"]);
        let error = stack.issue(&shop.app, wider).await.unwrap_err();
        assert_eq!(
            (reason(&error), fields(&error)),
            ("invalid_scope".to_owned(), vec!["scopes[1]".to_owned()])
        );
        let elsewhere = refresh(&token.refresh_token).audiences(&["stock-api"]);
        let error = stack.issue(&shop.app, elsewhere).await.unwrap_err();
        assert_eq!(reason(&error), "invalid_target");
        let error = other.refresh(&stack, &token).await.unwrap_err();
        assert_eq!(reason(&error), "invalid_grant");
        // None of these used it up.
        let next = shop.refresh(&stack, &token).await.unwrap();
        stack.assert_live(&shop.api, &next.access_token).await;
    }
}

async fn c9_a_narrowed_scope_in_an_occupied_slot(stack: Stack) {
    for shop in two(&stack).await {
        let ask = |scopes: &[&str]| password("ada", PASSWORD).bound_to("phone-1").scopes(scopes);
        let occupant = stack.issue(&shop.app, ask(&["orders.read"])).await.unwrap();
        let wide = stack
            .issue(&shop.app, ask(&["orders.write", "orders.read"]))
            .await
            .unwrap();
        let narrow = refresh(&wide.refresh_token).scopes(&["orders.read", "orders.read"]);
        let next = stack.issue(&shop.app, narrow).await.unwrap();
        assert_eq!(next.scopes, ["orders.read"]);
        assert_ne!(next.superseded, next.reused);
        assert_eq!(next.reused, next.access_token == occupant.access_token);
        stack.assert_live(&shop.api, &wide.access_token).await;
        let whole = shop.refresh(&stack, &next).await.unwrap();
        assert_eq!(whole.scopes, ["orders.read", "orders.write"]);
    }
}

async fn c75_a_second_use_ends_the_login(stack: Stack) {
    for shop in two(&stack).await {
        let (first, other) = (shop.login(&stack, "phone-1").await, shop.login(&stack, "phone-2").await);
        let second = shop.refresh(&stack, &first).await.unwrap();
        for dead in [&first, &second] {
            let error = shop.refresh(&stack, dead).await.unwrap_err();
            assert_eq!(
                (error.code(), reason(&error)),
                (Code::Unauthenticated, "invalid_grant".to_owned())
            );
        }
        stack
            .assert_dead(&shop.api, &second.access_token, Reason::TokenNotLive)
            .await;
        stack.assert_live(&shop.api, &other.access_token).await;
        shop.refresh(&stack, &other).await.unwrap();
    }
}

async fn what_is_no_refresh_token_is_refused(stack: Stack) {
    for shop in two(&stack).await {
        let token = shop.login(&stack, "phone-1").await;
        let text = &token.refresh_token;
        let altered = format!("{}{}", &text[..100], text[100..].chars().rev().collect::<String>());
        for wrong in [
            "tbr_",
            "x",
            &altered,
            &text[..text.len() - 1],
            &token.access_token,
            &"x".repeat(8_192),
        ] {
            let error = stack.issue(&shop.app, refresh(wrong)).await.unwrap_err();
            assert_eq!(reason(&error), "invalid_grant");
        }
        for malformed in ["", &"x".repeat(8_193)] {
            let error = stack.issue(&shop.app, refresh(malformed)).await.unwrap_err();
            assert_eq!(fields(&error), ["refresh_token.refresh_token"]);
        }
        // It is no access token either.
        stack.assert_dead(&shop.api, text, Reason::TokenMalformed).await;
        let seen = stack.introspect(&shop.api, text).await.unwrap();
        assert!(!seen.active);
        shop.refresh(&stack, &token).await.unwrap();
    }
    let settings = refreshing("wrong", TokenFormat::Jwt, 101);
    let error = stack.create_app(settings).await.unwrap_err();
    assert_eq!(fields(&error), ["application.refresh_tokens.grace_uses"]);
    let mut needless = refreshing("wrong", TokenFormat::Jwt, 1);
    needless.grants = vec![GrantType::ClientCredentials.into(), GrantType::RefreshToken.into()];
    let error = stack.create_app(needless).await.unwrap_err();
    assert_eq!(fields(&error), ["application.grants[1]"]);
}
