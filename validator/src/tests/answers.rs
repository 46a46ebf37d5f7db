//! V1 to V9 from the token to the answer: decision, HTTP status, challenge.

use tokenbind_index::BindingValue;
use tokenbind_proto::index::v1::TokenRecord;
use tokenbind_proto::v1::{self, BindingType, Decision, Reason};

use super::fixture::{Fixture, SHOP, Spec, application, binding, resource, texts};
use crate::{Question, Resource, Verdict};

const CERTIFICATE: [u8; 32] = [7; 32];

fn answer(verdict: &Verdict) -> (Decision, u32, &str) {
    (
        verdict.decision(),
        verdict.http_status(),
        verdict.www_authenticate.as_ref(),
    )
}

#[tokio::test]
async fn v1_no_token_has_no_error_code() {
    let fixture = Fixture::new().await;
    let verdict = fixture.verdict("").await;
    assert_eq!(verdict.reason, Reason::TokenMissing);
    assert_eq!(answer(&verdict), (Decision::Unauthenticated, 401, "Bearer"));
}

#[tokio::test]
async fn v2_and_v5_are_invalid_token() {
    let fixture = Fixture::new().await;
    let elsewhere = Spec {
        audiences: texts(&["https://elsewhere.example"]),
        ..Spec::default()
    };
    let elsewhere = fixture.jwt(&elsewhere).await;
    let verdict = fixture.verdict(&elsewhere).await;
    assert_eq!(verdict.reason, Reason::AudienceMismatch);
    assert!(
        verdict.token.is_none(),
        "a resource learns nothing of a token that is not for it"
    );
    let old = fixture.jwt(&Spec::default()).await;
    fixture.jwt(&Spec::default()).await;
    for (token, description) in [
        (elsewhere, "the access token is for another audience"),
        ("x".to_owned(), "the access token is malformed"),
        (old, "the access token is not valid"),
    ] {
        let verdict = fixture.verdict(&token).await;
        let challenge = format!(r#"Bearer error="invalid_token", error_description="{description}""#);
        assert_eq!(answer(&verdict), (Decision::Unauthenticated, 401, challenge.as_str()));
    }
}

#[tokio::test]
async fn v3_is_a_403_and_the_token_goes_on_working() {
    let fixture = Fixture::new().await;
    let token = fixture.opaque(&Spec::default()).await;
    let elsewhere = Resource::from(v1::Resource {
        resource_id: "billing".to_owned(),
        accepted_client_ids: texts(&["billing-app"]),
        ..resource()
    });
    let verdict = fixture.verdict_for(&token, &elsewhere, |_| {}).await;
    assert_eq!(verdict.reason, Reason::ClientNotAccepted);
    assert_eq!(answer(&verdict), (Decision::PermissionDenied, 403, "Bearer"));
    assert_eq!(
        verdict.token.as_ref().map(|token| token.grant.client_id.as_str()),
        Some(SHOP)
    );
    // Case 13: the same token at its own API right after.
    assert_eq!(fixture.reason(&token).await, Reason::Valid);
}

#[tokio::test]
async fn v4_is_a_403() {
    let fixture = Fixture::new().await;
    let nameless = Spec {
        client_id: String::new(),
        ..Spec::default()
    };
    let opaque = fixture.opaque(&nameless).await;
    let jwt = fixture
        .jwt_with(&nameless, |_, claims| {
            drop(claims.as_object_mut().unwrap().remove("client_id"));
        })
        .await;
    for token in [opaque, jwt] {
        let verdict = fixture.verdict(&token).await;
        assert_eq!(verdict.reason, Reason::ClientMissing);
        assert_eq!(answer(&verdict), (Decision::PermissionDenied, 403, "Bearer"));
    }
}

#[tokio::test]
async fn v6_names_the_scopes_that_are_needed() {
    let fixture = Fixture::new().await;
    let token = fixture.jwt(&Spec::default()).await;
    let required = texts(&["orders.read", "orders.write"]);
    let own = Resource::from(resource());
    let verdict = fixture
        .verdict_for(&token, &own, |question| question.required_scopes = &required)
        .await;
    let challenge = r#"Bearer error="insufficient_scope", scope="orders.read orders.write""#;
    assert_eq!(answer(&verdict), (Decision::PermissionDenied, 403, challenge));
    let picky = Resource::from(v1::Resource {
        accepted_scopes: texts(&["x", "y\"z"]),
        ..resource()
    });
    let verdict = fixture.verdict_for(&token, &picky, |_| {}).await;
    let challenge = r#"Bearer error="insufficient_scope", scope="x""#;
    assert_eq!(answer(&verdict), (Decision::PermissionDenied, 403, challenge));
}

#[tokio::test]
async fn v7_and_v8_end_to_end() {
    let fixture = Fixture::new().await;
    let own = Resource::from(resource());
    let phone = fixture.opaque(&Spec::bound_to("phone")).await;
    let present = |id: &'static str| move |question: &mut Question<'_>| question.presenter.binding = Some(binding(id));
    let verdict = fixture.verdict_for(&phone, &own, present("phone")).await;
    assert_eq!(verdict.reason, Reason::Valid);
    let verdict = fixture.verdict_for(&phone, &own, present("tablet")).await;
    assert_eq!((verdict.reason, verdict.http_status()), (Reason::BindingMismatch, 403));
    assert_eq!(fixture.reason(&phone).await, Reason::Valid);
    fixture
        .put_application(v1::Application {
            enforce_binding: true,
            ..application()
        })
        .await;
    assert_eq!(fixture.reason(&phone).await, Reason::BindingMissing);

    let spec = Spec {
        binding: Some(BindingValue::Certificate(CERTIFICATE)),
        ..Spec::default()
    };
    let certified = fixture.jwt(&spec).await;
    let verdict = fixture.verdict(&certified).await;
    assert_eq!((verdict.reason, verdict.http_status()), (Reason::ProofMissing, 401));
    let proven = |question: &mut Question<'_>| question.presenter.certificate_sha256 = Some(CERTIFICATE);
    let verdict = fixture.verdict_for(&certified, &own, proven).await;
    assert_eq!(verdict.reason, Reason::Valid);
}

#[tokio::test]
async fn a_record_that_lost_half_its_binding_satisfies_nobody() {
    let fixture = Fixture::new().await;
    let spec = Spec::bound_to("phone");
    let breaks: [fn(&mut TokenRecord); 6] = [
        |record| record.binding_ref.clear(),
        |record| record.binding_ref.truncate(31),
        |record| record.set_binding_type(BindingType::None),
        |record| record.set_binding_type(BindingType::Dpop),
        |record| record.set_binding_type(BindingType::Certificate),
        |record| record.binding_type = 99,
    ];
    for (number, broken) in breaks.into_iter().enumerate() {
        let token = fixture.opaque_with(&spec, broken).await;
        assert_eq!(fixture.reason(&token).await, Reason::ProofInvalid, "{number}");
    }
    let whole = fixture.opaque(&spec).await;
    assert_eq!(fixture.reason(&whole).await, Reason::Valid);
}
