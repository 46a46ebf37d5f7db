//! V1–V3, V5, V6 and V9; case 13.

use tokenbind_proto::v1::{
    BindingType, Decision, Reason, Resource as Api, TokenFormat, ValidateTokenRequest, ValidateTokenResponse,
};
use tokenbind_tests::{Ask as _, Stack, api, client_credentials, on_every_backend};

use crate::fixture::{Shops, about, issue, over_http, presented_by};

on_every_backend!(
    v1_no_token_is_unauthenticated_without_an_error_code,
    v2_what_is_not_live_is_an_invalid_token,
    v3_case_13_a_token_for_one_api_is_refused_at_anothers,
    v3_another_presenter_or_an_unexpected_application_is_refused,
    v5_a_token_for_another_audience_is_invalid_here,
    v6_a_missing_scope_is_insufficient,
    v9_a_good_token_comes_with_its_facts,
);

fn assert_verdict(verdict: &ValidateTokenResponse, decision: Decision, reason: Reason) {
    assert_eq!(verdict.reason(), reason);
    assert_eq!(verdict.decision(), decision);
    let status = match decision {
        Decision::Allow => 200,
        Decision::PermissionDenied => 403,
        _ => 401,
    };
    assert_eq!(verdict.http_status, status);
    assert_eq!(verdict.www_authenticate.is_empty(), decision == Decision::Allow);
}

async fn v1_no_token_is_unauthenticated_without_an_error_code(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let verdict = stack.validate(&shops.api, "").await;
    assert_verdict(&verdict, Decision::Unauthenticated, Reason::TokenMissing);
    // RFC 6750, section 3.1: without authentication information, no error code.
    assert_eq!(over_http(&verdict), (401, "Bearer"));
    assert_eq!(verdict.token, None);
}

async fn v2_what_is_not_live_is_an_invalid_token(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let superseded = issue(&stack, &shops.jwt, "").await;
    let revoked = issue(&stack, &shops.opaque, "").await;
    issue(&stack, &shops.jwt, "").await;
    stack.revoke(&shops.opaque, &revoked).await.unwrap();
    let cases = [
        (superseded.as_str(), Reason::TokenSuperseded),
        (&revoked, Reason::TokenNotLive),
        ("nonsense", Reason::TokenMalformed),
        ("a.b.c", Reason::TokenMalformed),
        ("tbo_nonsense", Reason::TokenMalformed),
        (" ", Reason::TokenMalformed),
        ("\0", Reason::TokenMalformed),
    ];
    for (token, reason) in cases {
        let verdict = stack.validate(&shops.api, token).await;
        assert_verdict(&verdict, Decision::Unauthenticated, reason);
        let challenge = verdict.www_authenticate.as_str();
        assert!(challenge.starts_with(r#"Bearer error="invalid_token", error_description=""#));
        // C19: each parameter once.
        assert_eq!(challenge.matches("error=").count(), 1);
        assert_eq!(challenge.matches("error_description=").count(), 1);
        assert_eq!(verdict.token, None, "nothing is said about a token that is not live");
    }
}

async fn v3_case_13_a_token_for_one_api_is_refused_at_anothers(stack: Stack) {
    let shops = Shops::create(&stack).await;
    for app in shops.both() {
        let other = shops.both().into_iter().find(|other| other.id != app.id).unwrap();
        let own_api = stack.api(&format!("api-of-{}", app.id), &[app]).await;
        let other_api = stack.api(&format!("not-for-{}", app.id), &[other]).await;
        let nobodys_api = stack.api(&format!("nobodys-{}", app.id), &[]).await;
        let token = issue(&stack, app, "phone-1").await;
        for refusing in [&other_api, &nobodys_api] {
            let verdict = stack.validate(refusing, &token).await;
            assert_verdict(&verdict, Decision::PermissionDenied, Reason::ClientNotAccepted);
            // And the same token right after, where it belongs.
            let verdict = stack.validate(&own_api, &token).await;
            assert_verdict(&verdict, Decision::Allow, Reason::Valid);
        }
    }
}

async fn v3_another_presenter_or_an_unexpected_application_is_refused(stack: Stack) {
    let shops = Shops::create(&stack).await;
    for app in shops.both() {
        let token = issue(&stack, app, "").await;
        let upper_case = app.id.to_uppercase();
        for presenter in ["intruder", &upper_case, "jwt ", "user:jwt", "*"] {
            let verdict = stack.judge(&shops.api, presented_by(&token, presenter)).await.unwrap();
            assert_verdict(&verdict, Decision::PermissionDenied, Reason::ClientMismatch);
        }
        let expecting = |client_ids: &[&str]| ValidateTokenRequest {
            expected_client_ids: client_ids.iter().map(ToString::to_string).collect(),
            ..about(&token)
        };
        let verdict = stack.judge(&shops.api, expecting(&["a", "b"])).await.unwrap();
        assert_verdict(&verdict, Decision::PermissionDenied, Reason::ClientMismatch);
        for fine in [
            presented_by(&token, &app.id),
            presented_by(&token, ""),
            expecting(&["a", &app.id]),
            expecting(&[]),
        ] {
            let verdict = stack.judge(&shops.api, fine).await.unwrap();
            assert_verdict(&verdict, Decision::Allow, Reason::Valid);
        }
    }
}

async fn v5_a_token_for_another_audience_is_invalid_here(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let warehouse = Api {
        audiences: vec!["stock-api".to_owned()],
        ..api("warehouse", &[&shops.jwt, &shops.opaque])
    };
    let warehouse = stack.create_resource(warehouse).await.unwrap();
    // Without audiences of its own, a resource is its id.
    let by_id = Api {
        audiences: Vec::new(),
        ..api("stock-api", &[&shops.jwt, &shops.opaque])
    };
    let by_id = stack.create_resource(by_id).await.unwrap();
    for app in shops.both() {
        let token = issue(&stack, app, "").await;
        let both = client_credentials().audiences(&["stock-api", "orders-api"]);
        let both = stack.issue(app, both).await.unwrap().access_token;
        for resource in [&warehouse, &by_id] {
            let verdict = stack.validate(resource, &token).await;
            assert_verdict(&verdict, Decision::Unauthenticated, Reason::AudienceMismatch);
            assert!(verdict.www_authenticate.contains(r#"error="invalid_token""#));
            assert_eq!(verdict.token, None, "not meant for the resource");
            stack.assert_live(resource, &both).await;
        }
        stack.assert_live(&shops.api, &token).await;
    }
}

async fn v6_a_missing_scope_is_insufficient(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let writers = Api {
        accepted_scopes: vec!["orders.write".to_owned(), "orders.delete".to_owned()],
        ..api("writers", &[&shops.jwt, &shops.opaque])
    };
    let writers = stack.create_resource(writers).await.unwrap();
    for app in shops.both() {
        let reading = issue(&stack, app, "").await;
        let both = client_credentials().scopes(&["orders.read", "orders.write"]);
        let both = stack.issue(app, both).await.unwrap().access_token;
        let requiring = |token: &str, scopes: &[&str]| ValidateTokenRequest {
            required_scopes: scopes.iter().map(ToString::to_string).collect(),
            ..about(token)
        };
        let question = requiring(&reading, &["orders.read", "orders.write"]);
        let verdict = stack.judge(&shops.api, question).await.unwrap();
        assert_verdict(&verdict, Decision::PermissionDenied, Reason::ScopeInsufficient);
        let challenge = r#"Bearer error="insufficient_scope", scope="orders.read orders.write""#;
        assert_eq!(verdict.www_authenticate, challenge);
        assert_eq!(
            verdict.token.unwrap().scopes,
            ["orders.read"],
            "live, and meant for the resource"
        );
        // A part of a name, or another case, is another scope.
        for scope in ["orders", "orders.", "ORDERS.READ", "orders.rea"] {
            let verdict = stack.judge(&shops.api, requiring(&both, &[scope])).await.unwrap();
            assert_verdict(&verdict, Decision::PermissionDenied, Reason::ScopeInsufficient);
        }
        let question = requiring(&both, &["orders.read", "orders.write"]);
        let verdict = stack.judge(&shops.api, question).await.unwrap();
        assert_verdict(&verdict, Decision::Allow, Reason::Valid);
        // A resource that names scopes wants at least one of them.
        let verdict = stack.validate(&writers, &reading).await;
        assert_verdict(&verdict, Decision::PermissionDenied, Reason::ScopeInsufficient);
        stack.assert_live(&writers, &both).await;
    }
}

async fn v9_a_good_token_comes_with_its_facts(stack: Stack) {
    let shops = Shops::create(&stack).await;
    for (app, format) in [(&shops.jwt, TokenFormat::Jwt), (&shops.opaque, TokenFormat::Opaque)] {
        let request = client_credentials()
            .scopes(&["orders.write", "orders.read"])
            .bound_to("phone-1");
        let issued = stack.issue(app, request).await.unwrap();
        let verdict = stack.validate(&shops.api, &issued.access_token).await;
        assert_verdict(&verdict, Decision::Allow, Reason::Valid);
        let facts = verdict.token.unwrap();
        assert_eq!(
            (facts.client_id.as_str(), facts.subject.as_str()),
            (app.id.as_str(), app.id.as_str())
        );
        assert_eq!(facts.scopes, ["orders.read", "orders.write"]);
        assert_eq!(facts.audiences, ["orders-api"]);
        assert_eq!(facts.token_format(), format);
        assert_eq!(facts.binding, issued.binding);
        assert_eq!(facts.binding.unwrap().r#type(), BindingType::ClientRequest);
        let (issued_at, expires_at) = (facts.issued_at.unwrap(), facts.expires_at.unwrap());
        assert!((3_599..=3_600).contains(&(expires_at.seconds - issued_at.seconds)));
        assert!(!facts.token_id.is_empty());
    }
}
