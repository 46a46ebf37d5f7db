//! V7, V14: a request under another device's binding.

use tokenbind_proto::v1::{Application, BindingType, Decision, Reason, Resource as Api, TokenFormat};
use tokenbind_tests::{App, Resource, Stack, api, on_every_backend, shop};

use crate::fixture::{Shops, about, issue, presented_with};

on_every_backend!(
    v7_another_binding_is_always_refused,
    v7_a_missing_binding_is_refused_where_the_application_enforces_it,
    v7_a_missing_binding_is_refused_where_the_resource_enforces_it,
    v7_an_unbound_token_has_no_binding_to_miss,
    v14_a_resource_can_demand_a_stronger_binding,
);

async fn assert_reason(stack: &Stack, resource: &Resource, token: &str, id: &str, reason: Reason) {
    let verdict = stack.judge(resource, presented_with(token, id)).await.unwrap();
    assert_eq!(verdict.reason(), reason, "{id:?}");
    let allowed = reason == Reason::Valid;
    let decision = if allowed {
        Decision::Allow
    } else {
        Decision::PermissionDenied
    };
    assert_eq!(verdict.decision(), decision);
    assert_eq!(verdict.http_status, if allowed { 200 } else { 403 });
}

async fn v7_another_binding_is_always_refused(stack: Stack) {
    let shops = Shops::create(&stack).await;
    for app in shops.both() {
        let token = issue(&stack, app, "phone-1").await;
        for other in ["phone-2", "phone-1 ", " phone-1", "Phone-1", "phone-1\0", "phone", "*"] {
            assert_reason(&stack, &shops.api, &token, other, Reason::BindingMismatch).await;
        }
        // The reference is public: presenting it proves nothing.
        let facts = stack.validate(&shops.api, &token).await.token.unwrap();
        let reference = facts.binding.unwrap().r#ref;
        assert_reason(&stack, &shops.api, &token, &reference, Reason::BindingMismatch).await;
        // S11: blank is none, and nobody here demands one.
        for id in ["phone-1", "", "  "] {
            assert_reason(&stack, &shops.api, &token, id, Reason::Valid).await;
        }
    }
}

async fn enforcing(stack: &Stack, client_id: &str, format: TokenFormat) -> App {
    let application = Application {
        enforce_binding: true,
        ..shop(client_id, format)
    };
    stack.create_app(application).await.unwrap()
}

async fn v7_a_missing_binding_is_refused_where_the_application_enforces_it(stack: Stack) {
    for (name, format) in [("jwt", TokenFormat::Jwt), ("opaque", TokenFormat::Opaque)] {
        let app = enforcing(&stack, name, format).await;
        let resource = stack.api(&format!("api-{name}"), &[&app]).await;
        let token = issue(&stack, &app, "phone-1").await;
        assert_eq!(stack.validate(&resource, &token).await.reason(), Reason::BindingMissing);
        assert_reason(&stack, &resource, &token, " \t", Reason::BindingMissing).await;
        assert_reason(&stack, &resource, &token, "phone-2", Reason::BindingMismatch).await;
        assert_reason(&stack, &resource, &token, "phone-1", Reason::Valid).await;
    }
}

async fn v7_a_missing_binding_is_refused_where_the_resource_enforces_it(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let strict = Api {
        enforce_binding: true,
        ..api("strict", &[&shops.jwt, &shops.opaque])
    };
    let strict = stack.create_resource(strict).await.unwrap();
    for app in shops.both() {
        let token = issue(&stack, app, "phone-1").await;
        assert_eq!(stack.validate(&strict, &token).await.reason(), Reason::BindingMissing);
        assert_reason(&stack, &strict, &token, "phone-1", Reason::Valid).await;
        stack.assert_live(&shops.api, &token).await;
    }
}

async fn v7_an_unbound_token_has_no_binding_to_miss(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let strict = Api {
        enforce_binding: true,
        ..api("strict", &[&shops.jwt, &shops.opaque])
    };
    let strict = stack.create_resource(strict).await.unwrap();
    for app in shops.both() {
        let token = issue(&stack, app, "").await;
        for id in ["", "phone-1"] {
            assert_reason(&stack, &strict, &token, id, Reason::Valid).await;
        }
    }
}

async fn v14_a_resource_can_demand_a_stronger_binding(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let demanding = |id: &str, types: &[BindingType]| Api {
        accepted_binding_types: types.iter().map(|&one| one.into()).collect(),
        ..api(id, &[&shops.jwt, &shops.opaque])
    };
    let bound = demanding("bound", &[BindingType::ClientRequest, BindingType::Certificate]);
    let bound = stack.create_resource(bound).await.unwrap();
    let proven = demanding("proven", &[BindingType::Certificate]);
    let proven = stack.create_resource(proven).await.unwrap();
    for app in shops.both() {
        let unbound = issue(&stack, app, "").await;
        let phone = issue(&stack, app, "phone-1").await;
        for (resource, token, reason) in [
            (&bound, &unbound, Reason::BindingTypeNotAccepted),
            (&bound, &phone, Reason::Valid),
            (&proven, &unbound, Reason::BindingTypeNotAccepted),
            (&proven, &phone, Reason::BindingTypeNotAccepted),
        ] {
            let verdict = stack.judge(resource, about(token)).await.unwrap();
            assert_eq!(verdict.reason(), reason);
        }
    }
}
