//! S11, S12, cases 4 and 5: what a `token_binding_id` may look like.

use tokenbind_proto::v1::{Application, BindingType, TokenFormat};
use tokenbind_tests::{Ask as _, Stack, client_credentials, fields, on_every_backend, reason, shop};
use tonic::Code;

use crate::fixture::{Shops, assert_new, assert_same};

on_every_backend!(
    s11_absent_empty_and_blank_ids_are_no_binding,
    s11_ids_are_compared_byte_for_byte,
    s11_an_id_that_looks_like_something_else_is_just_a_value,
    s11_case_4_the_digest_of_another_id_is_another_id,
    s11_255_bytes_fit_and_256_do_not,
    s12_an_application_without_client_request_ignores_the_id,
    s12_an_application_that_requires_a_binding_refuses_a_request_without,
);

async fn s11_absent_empty_and_blank_ids_are_no_binding(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let unbound = stack.issue(&shops.opaque, client_credentials()).await.unwrap();
    for blank in ["", " ", "   ", "\t", "\r\n", "\u{a0}", "\u{2003}\u{3000}"] {
        let request = client_credentials().bound_to(blank);
        let token = stack.issue(&shops.opaque, request.clone()).await.unwrap();
        assert_same(&unbound, &token);
        assert_eq!(token.binding.unwrap().r#type(), BindingType::None);
        let token = stack.issue(&shops.jwt, request).await.unwrap();
        assert_eq!(token.binding.unwrap().r#ref, "");
    }
}

/// Each of these ids names a device of its own.
async fn assert_all_apart(stack: &Stack, shops: &Shops, ids: &[&str]) {
    for app in shops.both() {
        let mut references = Vec::new();
        let mut tokens = Vec::new();
        for id in ids {
            let token = stack.issue(app, client_credentials().bound_to(id)).await.unwrap();
            assert_new(&token);
            assert!(!token.superseded, "{id:?} has a slot of its own");
            references.push(token.binding.unwrap().r#ref);
            tokens.push(token.access_token);
        }
        for verdict in stack.validate_all(&shops.api, &tokens).await {
            assert_eq!(verdict.http_status, 200);
        }
        references.sort_unstable();
        references.dedup();
        assert_eq!(references.len(), ids.len());
        for reference in references {
            // SHA-256, base64url without padding.
            assert_eq!(reference.len(), 43);
        }
    }
    // And each is found again.
    for id in ids {
        let token = stack.issue(&shops.opaque, client_credentials().bound_to(id)).await;
        assert!(token.unwrap().reused, "{id:?}");
    }
}

async fn s11_ids_are_compared_byte_for_byte(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let ids = [
        "phone",
        "Phone",
        " phone",
        "phone ",
        "phone\n",
        "caf\u{e9}",
        "cafe\u{301}",
        "\u{1f4f1}",
        "\u{1f4f1}\u{fe0f}",
        "ﬁ",
        "fi",
    ];
    assert_all_apart(&stack, &shops, &ids).await;
}

async fn s11_an_id_that_looks_like_something_else_is_just_a_value(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let ids = [
        "NONE",
        "none",
        "null",
        "0",
        ":",
        "::",
        "{",
        "}",
        "{}",
        "*",
        "?",
        "[a-z]",
        "\r\n",
        "\r\nSET a b\r\n",
        "a\r\nb",
        "\0",
        "a\0",
        "a\0b",
        "%00",
        "../..",
        "tokenbind:{",
        "jwt",
        "opaque",
        "orders.read",
        "user:ada",
        "'",
        "\"",
        "\\",
        "$1",
        "EOF",
        "-1",
    ];
    // Only white space is no binding, and this is just that.
    let ids: Vec<_> = ids.into_iter().filter(|id| *id != "\r\n").collect();
    assert_all_apart(&stack, &shops, &ids).await;
}

async fn s11_case_4_the_digest_of_another_id_is_another_id(stack: Stack) {
    let shops = Shops::create(&stack).await;
    for app in shops.both() {
        let phone = client_credentials().bound_to("phone-1");
        let phone = stack.issue(app, phone).await.unwrap();
        let reference = phone.binding.unwrap().r#ref;
        let posing = client_credentials().bound_to(&reference);
        let posing = stack.issue(app, posing).await.unwrap();
        assert_new(&posing);
        assert!(!posing.superseded);
        assert_ne!(posing.binding.unwrap().r#ref, reference);
        stack.assert_live(&shops.api, &phone.access_token).await;
    }
    // The same id is another reference in another application: a reference says nothing elsewhere.
    let ask = || client_credentials().bound_to("phone-2");
    let jwt = stack.issue(&shops.jwt, ask()).await.unwrap();
    let opaque = stack.issue(&shops.opaque, ask()).await.unwrap();
    assert_ne!(jwt.binding, opaque.binding);
}

async fn s11_255_bytes_fit_and_256_do_not(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let longest = "x".repeat(255);
    let multi_byte = format!("x{}", "\u{e9}".repeat(127));
    assert_eq!(multi_byte.len(), 255);
    assert_all_apart(&stack, &shops, &[&longest, &multi_byte]).await;

    let too_long = [
        "x".repeat(256),
        "\u{e9}".repeat(128),
        " ".repeat(256),
        "\0".repeat(100_000),
    ];
    for id in too_long {
        for app in shops.both() {
            let error = stack.issue(app, client_credentials().bound_to(&id)).await.unwrap_err();
            assert_eq!(error.code(), Code::InvalidArgument);
            assert_eq!(reason(&error), "invalid_request");
            assert_eq!(fields(&error), ["token_binding_id"]);
        }
    }
    let token = stack
        .issue(&shops.opaque, client_credentials().bound_to(&longest))
        .await;
    assert!(token.unwrap().reused);
}

async fn s12_an_application_without_client_request_ignores_the_id(stack: Stack) {
    for (name, format) in [("jwt", TokenFormat::Jwt), ("opaque", TokenFormat::Opaque)] {
        let application = Application {
            binding_type: BindingType::None.into(),
            ..shop(name, format)
        };
        let app = stack.create_app(application).await.unwrap();
        stack
            .issue(&app, client_credentials().bound_to("phone-1"))
            .await
            .unwrap();
        let second = client_credentials().bound_to("phone-2");
        let second = stack.issue(&app, second).await.unwrap();
        assert_eq!(second.binding.unwrap().r#type(), BindingType::None);
        assert_eq!(second.superseded, format == TokenFormat::Jwt);
        assert_eq!(second.reused, format == TokenFormat::Opaque);
    }
}

async fn s12_an_application_that_requires_a_binding_refuses_a_request_without(stack: Stack) {
    for (name, format) in [("jwt", TokenFormat::Jwt), ("opaque", TokenFormat::Opaque)] {
        let application = Application {
            require_binding: true,
            ..shop(name, format)
        };
        let app = stack.create_app(application).await.unwrap();
        for blank in ["", " \t"] {
            let error = stack
                .issue(&app, client_credentials().bound_to(blank))
                .await
                .unwrap_err();
            assert_eq!(error.code(), Code::InvalidArgument);
            assert_eq!(reason(&error), "invalid_request");
            assert_eq!(fields(&error), ["token_binding_id"]);
        }
        stack
            .issue(&app, client_credentials().bound_to("phone-1"))
            .await
            .unwrap();
    }
}
