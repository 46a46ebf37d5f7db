//! The layer in front of a service over HTTP.

use std::convert::Infallible;
use std::sync::Arc;

use http::{HeaderName, Request, Response, StatusCode, header};
use tokenbind_index::Namespace;
use tower::util::BoxCloneService;
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::fixture::{Fixture, RESOURCE, Spec, texts};
use crate::facts::KnownToken;
use crate::{InProcessValidator, TokenLayer};

const DEVICE: HeaderName = HeaderName::from_static("x-device");

type Guarded = BoxCloneService<Request<()>, Response<String>, Infallible>;

/// A service that answers whose token it was called with.
fn guarded(fixture: &Fixture, change: impl FnOnce(TokenLayer) -> TokenLayer) -> Guarded {
    let validator = InProcessValidator::new(fixture.inputs.clone(), Namespace::default());
    let layer = TokenLayer::new(Arc::new(validator), RESOURCE).binding_header(DEVICE);
    let service = service_fn(async |request: Request<()>| {
        let token = request.extensions().get::<Arc<KnownToken>>().unwrap();
        Ok(Response::new(token.subject.claim()))
    });
    BoxCloneService::new(change(layer).layer(service))
}

async fn call(service: &Guarded, headers: &[(HeaderName, &str)]) -> Response<String> {
    let mut request = Request::new(());
    for (name, value) in headers {
        request.headers_mut().append(name, value.parse().unwrap());
    }
    service.clone().oneshot(request).await.unwrap()
}

#[track_caller]
fn assert_refused(response: &Response<String>, status: StatusCode, challenge: &str) {
    assert_eq!(response.status(), status);
    assert_eq!(response.body(), "", "the service was not called");
    let told = response.headers().get(header::WWW_AUTHENTICATE);
    let told = told.map_or("", |told| told.to_str().unwrap());
    assert!(
        told.starts_with(challenge) && told.is_empty() == challenge.is_empty(),
        "{told}"
    );
}

#[tokio::test]
async fn a_request_is_let_through_with_a_good_token_alone() {
    let fixture = Fixture::new().await;
    let service = guarded(&fixture, |layer| layer);
    let token = fixture.jwt(&Spec::bound_to("phone-1")).await;
    let bearer = format!("Bearer {token}");
    let own = [(header::AUTHORIZATION, bearer.as_str()), (DEVICE, "phone-1")];
    let (authorization, device) = (own[0].clone(), own[1].clone());

    // V1, also where the credentials are of another kind.
    assert_refused(&call(&service, &[]).await, StatusCode::UNAUTHORIZED, "Bearer");
    let basic = [(header::AUTHORIZATION, "Basic YTpi")];
    assert_refused(&call(&service, &basic).await, StatusCode::UNAUTHORIZED, "Bearer");
    // V2.
    let wrong = [(header::AUTHORIZATION, "Bearer x.y.z")];
    let challenge = r#"Bearer error="invalid_token""#;
    assert_refused(&call(&service, &wrong).await, StatusCode::UNAUTHORIZED, challenge);
    // V7.
    let other = [authorization.clone(), (DEVICE, "phone-2")];
    assert_refused(&call(&service, &other).await, StatusCode::FORBIDDEN, "Bearer");
    // What is sent twice, or too long, is no request (S11, A10).
    let challenge = r#"Bearer error="invalid_request""#;
    let long = "x".repeat(256);
    let malformed = [
        vec![authorization.clone(), authorization.clone(), device.clone()],
        vec![authorization.clone(), device.clone(), device],
        vec![authorization, (DEVICE, &long)],
    ];
    for headers in malformed {
        assert_refused(&call(&service, &headers).await, StatusCode::BAD_REQUEST, challenge);
    }

    let response = call(&service, &own).await;
    assert_eq!(
        (response.status(), response.body().as_str()),
        (StatusCode::OK, "user:ada")
    );
    let lower = format!("bearer {token}");
    let lower = [(header::AUTHORIZATION, lower.as_str()), (DEVICE, "phone-1")];
    assert_eq!(call(&service, &lower).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn v6_all_required_scopes_are_needed() {
    let fixture = Fixture::new().await;
    let token = fixture.jwt(&Spec::default()).await;
    let bearer = format!("Bearer {token}");
    let headers = [(header::AUTHORIZATION, bearer.as_str())];
    let service = guarded(&fixture, |layer| layer.required_scopes(texts(&["orders.write"])));
    let challenge = r#"Bearer error="insufficient_scope""#;
    assert_refused(&call(&service, &headers).await, StatusCode::FORBIDDEN, challenge);
    let service = guarded(&fixture, |layer| layer.required_scopes(texts(&["orders.read"])));
    assert_eq!(call(&service, &headers).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn v10_what_cannot_be_judged_is_refused() {
    let fixture = Fixture::new().await;
    let service = guarded(&fixture, |layer| layer);
    let token = fixture.jwt(&Spec::default()).await;
    let bearer = format!("Bearer {token}");
    let headers = [(header::AUTHORIZATION, bearer.as_str())];
    fixture.store.switch(false);
    assert_refused(&call(&service, &headers).await, StatusCode::SERVICE_UNAVAILABLE, "");
    fixture.store.switch(true);
    assert_eq!(call(&service, &headers).await.status(), StatusCode::OK);
}
