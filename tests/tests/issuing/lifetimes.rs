//! S1, S5–S7, S15 and S17 as time passes.

use std::time::{Duration, Instant};

use tokenbind_proto::v1::{Application, BindingType, ListBindingsRequest, Reason, TokenFormat};
use tokenbind_tests::{Ask as _, DEADLINE, Stack, client_credentials, on_every_backend, shop, wait_until};

use crate::fixture::assert_new;

on_every_backend!(
    s1_an_expired_jwt_makes_room,
    s5_s6_s15_an_opaque_token_is_answered_until_its_last_second,
    s17_a_changed_lifetime_is_for_tokens_from_then_on,
    s17_a_changed_format_and_binding_type_leave_live_tokens,
);

fn short_lived(name: &str, format: TokenFormat, seconds: u32) -> Application {
    Application {
        access_token_lifetime_seconds: seconds,
        ..shop(name, format)
    }
}

async fn s1_an_expired_jwt_makes_room(stack: Stack) {
    let app = stack.create_app(short_lived("jwt", TokenFormat::Jwt, 1)).await.unwrap();
    let api = stack.api("api", &[&app]).await;
    let old = stack.issue(&app, client_credentials()).await.unwrap();
    assert_eq!(old.expires_in, 1);
    let verdict = wait_until("the token expires", DEADLINE, async || {
        let verdict = stack.validate(&api, &old.access_token).await;
        (verdict.http_status != 200).then_some(verdict)
    })
    .await;
    assert_eq!(verdict.reason(), Reason::TokenExpired);
    assert!(!stack.introspect(&api, &old.access_token).await.unwrap().active);
    // `exp` is a whole second, so the slot is empty up to a second after the token has expired.
    wait_until("the slot is empty", DEADLINE, async || {
        let request = stack.as_admin(ListBindingsRequest {
            subject: app.id.clone(),
            ..Default::default()
        });
        let live = stack.bindings().list_bindings(request).await.unwrap();
        live.into_inner().bindings.is_empty().then_some(())
    })
    .await;
    let new = stack.issue(&app, client_credentials()).await.unwrap();
    assert_eq!(new.expires_in, 1);
    assert!(!new.superseded, "nothing live was there");
    assert!(new.access_token != old.access_token);
}

async fn s5_s6_s15_an_opaque_token_is_answered_until_its_last_second(stack: Stack) {
    let app = short_lived("opaque", TokenFormat::Opaque, 3);
    let app = stack.create_app(app).await.unwrap();
    let api = stack.api("api", &[&app]).await;
    let ask = || client_credentials().bound_to("phone-1");
    let before = Instant::now();
    let first = stack.issue(&app, ask()).await.unwrap();
    let after = Instant::now();
    assert_eq!(first.expires_in, 3);

    let mut seen = vec![first.expires_in];
    let next = wait_until("a new token", DEADLINE, async || {
        let asked = Instant::now();
        let token = stack.issue(&app, ask()).await.unwrap();
        let answered = Instant::now();
        assert!(token.expires_in >= 1, "S15");
        if token.access_token != first.access_token {
            // No earlier than with less than a second left.
            assert!(answered - before > Duration::from_secs(2));
            return Some(token);
        }
        assert!(token.reused);
        assert!(
            asked - after <= Duration::from_secs(2),
            "S15: it had less than a second left"
        );
        // Whole seconds, rounded down, of what remains.
        assert!(Duration::from_secs(token.expires_in.into()) <= Duration::from_secs(3).saturating_sub(asked - after));
        seen.push(token.expires_in);
        None
    })
    .await;
    assert!(!next.reused);
    assert_eq!(next.expires_in, 3);
    seen.dedup();
    assert!(seen.is_sorted_by(|earlier, later| earlier > later), "{seen:?}");
    assert!(seen.contains(&2) && seen.contains(&1), "{seen:?}");
    // The new token took the slot; the old one is dead however much it had left.
    stack.assert_live(&api, &next.access_token).await;
    let verdict = stack.validate(&api, &first.access_token).await;
    assert_eq!(verdict.http_status, 401);
}

async fn s17_a_changed_lifetime_is_for_tokens_from_then_on(stack: Stack) {
    let app = stack.shop("opaque", TokenFormat::Opaque).await;
    let api = stack.api("api", &[&app]).await;
    let ask = |id: &str| client_credentials().bound_to(id);
    let first = stack.issue(&app, ask("phone-1")).await.unwrap();
    assert_new(&first);
    let changed = short_lived("opaque", TokenFormat::Opaque, 60);
    stack
        .update_app(changed, &["access_token_lifetime_seconds"])
        .await
        .unwrap();
    let again = stack.issue(&app, ask("phone-1")).await.unwrap();
    assert!(again.reused && again.expires_in > 60);
    assert_eq!(stack.issue(&app, ask("phone-2")).await.unwrap().expires_in, 60);
    stack.assert_live(&api, &first.access_token).await;
}

async fn s17_a_changed_format_and_binding_type_leave_live_tokens(stack: Stack) {
    let app = stack.shop("app", TokenFormat::Opaque).await;
    let api = stack.api("api", &[&app]).await;
    let ask = || client_credentials().bound_to("phone-1");
    let opaque = stack.issue(&app, ask()).await.unwrap();

    let changed = shop("app", TokenFormat::Jwt);
    stack.update_app(changed, &["token_format"]).await.unwrap();
    let jwt = stack.issue(&app, ask()).await.unwrap();
    assert_new(&jwt);
    assert!(!jwt.superseded, "another format is another slot");
    assert_eq!(jwt.access_token.split('.').count(), 3);

    let changed = Application {
        binding_type: BindingType::None.into(),
        ..shop("app", TokenFormat::Jwt)
    };
    stack.update_app(changed, &["binding_type"]).await.unwrap();
    let unbound = stack.issue(&app, ask()).await.unwrap();
    assert_eq!(unbound.binding.as_ref().unwrap().r#type(), BindingType::None);
    assert!(!unbound.superseded, "another binding is another slot");
    for token in [opaque, jwt, unbound] {
        stack.assert_live(&api, &token.access_token).await;
    }
}
