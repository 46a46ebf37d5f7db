//! V12 and C26 to C30, over the gRPC service.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost_types::value::Kind;
use serde_json::json;
use tokenbind_index::{BindingIndex as _, BindingValue, DocumentKind, DocumentStore as _, Selection, Subject};
use tokenbind_proto::v1::{self, IntrospectTokenRequest, IntrospectTokenResponse};
use tonic::{Code, Status};

use super::fixture::{AUDIENCE, ISSUER, LIFETIME_SECONDS, SHOP, Spec, resource, texts};
use super::grpc::{Service, reason_of};

async fn introspect(service: &Service, token: &str) -> Result<IntrospectTokenResponse, Status> {
    service
        .introspect(
            service.basic(),
            IntrospectTokenRequest {
                token: token.to_owned(),
                token_type_hint: "refresh_token".to_owned(),
            },
        )
        .await
}

#[tokio::test]
async fn a_live_jwt_has_every_member() {
    let service = Service::new().await;
    let fixture = &service.fixture;
    let spec = Spec {
        scopes: texts(&["a", "b"]),
        ..Spec::bound_to("phone")
    };
    let token = fixture
        .jwt_with(&spec, |_, claims| claims["tier"] = json!("gold"))
        .await;
    let answer = introspect(&service, &token).await.unwrap();
    let (now, lifetime) = (
        i64::try_from(fixture.now()).unwrap(),
        i64::try_from(LIFETIME_SECONDS).unwrap(),
    );
    assert!(answer.active);
    assert_eq!((answer.scope.as_str(), answer.client_id.as_str()), ("a b", SHOP));
    assert_eq!((answer.username.as_str(), answer.sub.as_str()), ("ada", "user:ada"));
    assert_eq!((answer.token_type.as_str(), answer.iss.as_str()), ("Bearer", ISSUER));
    assert_eq!((answer.iat, answer.nbf, answer.exp), (now, now, now + lifetime));
    assert_eq!(
        (answer.aud, answer.aut.as_str()),
        (texts(&[AUDIENCE]), "APPLICATION_USER")
    );
    assert_eq!(
        (answer.binding_type.as_str(), answer.binding_ref.len()),
        ("client-request", 43)
    );
    assert_eq!((answer.jti.len(), answer.cnf), (64, None));
    let claims: Vec<_> = answer.claims.unwrap().fields.into_iter().collect();
    assert_eq!(claims.len(), 1);
    assert_eq!(
        (claims[0].0.as_str(), &claims[0].1.kind),
        ("tier", &Some(Kind::StringValue("gold".to_owned())))
    );
}

#[tokio::test]
async fn a_live_opaque_token_has_the_claims_of_its_record() {
    let service = Service::new().await;
    let spec = Spec {
        subject: Subject::Application(SHOP.to_owned()),
        ..Spec::default()
    };
    let claims = r#"{"tier":"gold"}"#;
    let token = service
        .fixture
        .opaque_with(&spec, |record| record.claims_json = claims.to_owned())
        .await;
    let answer = introspect(&service, &token).await.unwrap();
    assert!(answer.active);
    assert_eq!(
        (answer.username.as_str(), answer.sub.as_str(), answer.aut.as_str()),
        ("", SHOP, "APPLICATION")
    );
    assert_eq!(
        (answer.binding_type.as_str(), answer.binding_ref.as_str()),
        ("none", "")
    );
    assert_eq!((answer.iss.as_str(), answer.nbf), ("", answer.iat));
    assert_eq!(answer.exp - answer.iat, i64::try_from(LIFETIME_SECONDS).unwrap());
    assert_eq!(answer.claims.unwrap().fields.len(), 1);
}

#[tokio::test]
async fn a_token_of_a_certificate_names_it_c30() {
    let service = Service::new().await;
    let spec = Spec {
        binding: Some(BindingValue::Certificate([7; 32])),
        ..Spec::default()
    };
    let token = service.fixture.jwt(&spec).await;
    let answer = introspect(&service, &token).await.unwrap();
    assert_eq!(answer.binding_type, "certificate");
    assert_eq!(answer.cnf.unwrap().x5t_s256, URL_SAFE_NO_PAD.encode([7; 32]));
}

#[tokio::test]
async fn whatever_is_not_live_is_inactive_and_nothing_else_c27() {
    let service = Service::new().await;
    let fixture = &service.fixture;
    let inactive = async |what: &str, token: &str| {
        let answer = introspect(&service, token).await.unwrap();
        assert_eq!(answer, IntrospectTokenResponse::default(), "{what}");
    };
    inactive("unknown", "x").await;
    let expired = fixture
        .jwt_with(&Spec::default(), |_, claims| claims["exp"] = json!(fixture.now()))
        .await;
    inactive("expired", &expired).await;
    let early = fixture
        .jwt_with(&Spec::default(), |_, claims| claims["nbf"] = json!(fixture.now() + 1))
        .await;
    inactive("not yet valid", &early).await;
    let superseded = fixture.jwt(&Spec::default()).await;
    let live = fixture.jwt(&Spec::default()).await;
    inactive("superseded", &superseded).await;
    assert!(introspect(&service, &live).await.unwrap().active);
    fixture
        .store
        .revoke_subject(Spec::default().subject.home(), Selection::default())
        .await
        .unwrap();
    inactive("revoked", &live).await;
    let nameless = Spec {
        client_id: String::new(),
        ..Spec::default()
    };
    inactive("without an application", &fixture.opaque(&nameless).await).await;
    let of_the_past = fixture.opaque(&Spec::default()).await;
    fixture
        .store
        .raise_generation(DocumentKind::Application, SHOP)
        .await
        .unwrap();
    inactive("application revoked", &of_the_past).await;
}

#[tokio::test]
async fn a_caller_outside_the_audience_learns_nothing_c28() {
    let service = Service::new().await;
    let elsewhere = Spec {
        audiences: texts(&["https://elsewhere.example"]),
        ..Spec::default()
    };
    let token = service.fixture.jwt(&elsewhere).await;
    assert_eq!(
        introspect(&service, &token).await.unwrap(),
        IntrospectTokenResponse::default()
    );
}

#[tokio::test]
async fn who_presents_a_token_is_no_matter_of_introspection() {
    let service = Service::new().await;
    let token = service.fixture.jwt(&Spec::default()).await;
    let nobody = v1::Resource {
        accepted_client_ids: vec![],
        ..resource()
    };
    service.put_resource(nobody).await;
    assert!(introspect(&service, &token).await.unwrap().active);
}

#[tokio::test]
async fn credentials_are_always_needed_c26() {
    for service in [Service::new().await, Service::open().await] {
        let token = service.fixture.jwt(&Spec::default()).await;
        let request = IntrospectTokenRequest {
            token,
            token_type_hint: String::new(),
        };
        let refused = service.introspect(None, request.clone()).await.unwrap_err();
        assert_eq!(
            (refused.code(), reason_of(&refused).as_str()),
            (Code::Unauthenticated, "invalid_client")
        );
        assert!(service.introspect(service.basic(), request).await.unwrap().active);
    }
}

#[tokio::test]
async fn without_the_index_nothing_is_said() {
    let service = Service::new().await;
    let token = service.fixture.jwt(&Spec::default()).await;
    service.fixture.store.switch(false);
    let refused = introspect(&service, &token).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason_of(&refused).as_str()),
        (Code::Unavailable, "temporarily_unavailable")
    );
}
