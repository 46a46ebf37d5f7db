//! What an exchange gives: within subject token and policy, in a slot like every other token.

use tokenbind_proto::v1::{ListBindingsRequest, Reason, RevokeSubjectRequest, TokenFormat};
use tokenbind_tests::{ACCESS_TOKEN, Ask as _, exchange, now, password, reason};

use crate::in_every_setting;
use crate::setting::Setting;

in_every_setting!(
    c48_a_service_account_becomes_a_subject_of_its_own,
    own_tokens_of_either_format_are_exchanged,
    c49_scopes_and_audiences_are_within_subject_and_policy,
    c49_the_result_ends_no_later_than_the_subject_token,
    s2_s5_an_exchange_takes_its_slot_like_any_grant,
    r3_an_external_subject_is_listed_and_revoked,
);

async fn c48_a_service_account_becomes_a_subject_of_its_own(setting: Setting) {
    for cart in &setting.carts {
        let answer = setting.issue(cart, exchange(&setting.pod("cart"))).await.unwrap();
        assert_eq!(
            (answer.issued_token_type.as_str(), answer.token_type.as_str()),
            (ACCESS_TOKEN, "Bearer")
        );
        // C9: what was granted is told.
        assert_eq!(answer.scopes, ["orders.read"]);
        let verdict = setting.stack.validate(&setting.api, &answer.access_token).await;
        assert_eq!(verdict.reason(), Reason::Valid);
        let facts = verdict.token.unwrap();
        assert_eq!(facts.subject, "ext:cluster:system:cart");
        assert_eq!(
            (facts.username.as_str(), facts.authorized_user_type.as_str()),
            ("", "EXTERNAL")
        );
        assert_eq!((facts.client_id.as_str(), facts.act), (cart.id.as_str(), None));
    }
}

async fn own_tokens_of_either_format_are_exchanged(setting: Setting) {
    for shop in &setting.shops {
        let subject = setting.login(shop, "").await;
        for cart in &setting.carts {
            let answer = setting.issue(cart, exchange(&subject)).await.unwrap();
            let verdict = setting.stack.validate(&setting.api, &answer.access_token).await;
            let facts = verdict.token.unwrap();
            assert_eq!(
                (facts.subject.as_str(), facts.username.as_str()),
                ("user:carol", "carol")
            );
            assert_eq!(facts.client_id, cart.id);
        }
        setting.stack.assert_live(&setting.api, &subject).await;
    }
}

async fn c49_scopes_and_audiences_are_within_subject_and_policy(setting: Setting) {
    let cart = &setting.carts[0];
    let everything = ["orders.read", "orders.write", "orders.delete"];
    let login = password("carol", "correct horse").scopes(&everything);
    let wide = setting.issue(&setting.shops[0], login).await.unwrap().access_token;
    // The policy lacks a scope …
    let answer = setting.issue(cart, exchange(&wide).scopes(&everything)).await.unwrap();
    assert_eq!(answer.scopes, ["orders.read", "orders.write"]);
    // … the subject token another one, and an audience.
    let narrow = setting.login(&setting.shops[0], "").await;
    let answer = setting
        .issue(cart, exchange(&narrow).scopes(&everything))
        .await
        .unwrap();
    assert_eq!(answer.scopes, ["orders.read"]);
    let error = setting
        .issue(cart, exchange(&narrow).scopes(&["orders.write"]))
        .await
        .unwrap_err();
    assert_eq!(reason(&error), "invalid_scope");
    let error = setting
        .issue(cart, exchange(&narrow).audiences(&["stock-api"]))
        .await
        .unwrap_err();
    assert_eq!(reason(&error), "invalid_target");
    let facts = setting
        .stack
        .validate(&setting.api, &answer.access_token)
        .await
        .token
        .unwrap();
    assert_eq!(facts.audiences, ["orders-api"]);
}

async fn c49_the_result_ends_no_later_than_the_subject_token(setting: Setting) {
    for cart in &setting.carts {
        for seconds in [100, 1_000, 50] {
            let ends = now() + seconds;
            let mut claims = setting.claims(&format!("{seconds}"));
            claims["exp"] = ends.into();
            // The same account each time, so an opaque token could be answered again.
            claims["sub"] = "system:cart".into();
            let answer = setting.issue(cart, exchange(&setting.key.sign(&claims))).await.unwrap();
            assert!(
                u64::from(answer.expires_in) <= seconds,
                "{} {seconds}",
                answer.expires_in
            );
            let introspected = setting
                .stack
                .introspect(&setting.api, &answer.access_token)
                .await
                .unwrap();
            assert!(introspected.active && u64::try_from(introspected.exp).unwrap() <= ends);
        }
    }
    let mut claims = setting.claims("cart");
    claims["exp"] = (now() + 1).into();
    let error = setting
        .issue(&setting.carts[0], exchange(&setting.key.sign(&claims)))
        .await
        .unwrap_err();
    assert_eq!(reason(&error), "invalid_request");
}

async fn s2_s5_an_exchange_takes_its_slot_like_any_grant(setting: Setting) {
    let [jwt, opaque] = &setting.carts;
    for (cart, format) in [(jwt, TokenFormat::Jwt), (opaque, TokenFormat::Opaque)] {
        let on = async |pod: &str, device: &str| {
            let request = exchange(&setting.pod(pod)).bound_to(device);
            setting.issue(cart, request).await.unwrap()
        };
        let first = on("cart", "pod-1").await;
        let other = on("cart", "pod-2").await;
        let unbound = on("cart", "").await;
        let else_where = on("other", "pod-1").await;
        let again = on("cart", "pod-1").await;
        if format == TokenFormat::Jwt {
            assert!(again.superseded && !again.reused);
            let token = &first.access_token;
            setting
                .stack
                .assert_dead(&setting.api, token, Reason::TokenSuperseded)
                .await;
        } else {
            assert!(again.reused && again.access_token == first.access_token);
        }
        for live in [&again, &other, &unbound, &else_where] {
            setting.stack.assert_live(&setting.api, &live.access_token).await;
        }
    }
}

async fn r3_an_external_subject_is_listed_and_revoked(setting: Setting) {
    let subject = "ext:cluster:system:cart".to_owned();
    let mut tokens = Vec::new();
    for cart in &setting.carts {
        let request = exchange(&setting.pod("cart")).bound_to("pod-1");
        tokens.push(setting.issue(cart, request).await.unwrap().access_token);
    }
    let kept = setting
        .issue(&setting.carts[0], exchange(&setting.pod("other")))
        .await
        .unwrap();
    let list = setting.stack.as_admin(ListBindingsRequest {
        subject: subject.clone(),
        ..Default::default()
    });
    let listed = setting.stack.bindings().list_bindings(list).await.unwrap().into_inner();
    assert_eq!(listed.bindings.len(), 2);
    let revoke = setting.stack.as_admin(RevokeSubjectRequest {
        subject,
        ..Default::default()
    });
    let revoked = setting
        .stack
        .bindings()
        .revoke_subject(revoke)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(revoked.revoked, 2);
    for token in &tokens {
        setting
            .stack
            .assert_dead(&setting.api, token, Reason::TokenNotLive)
            .await;
    }
    setting.stack.assert_live(&setting.api, &kept.access_token).await;
}
