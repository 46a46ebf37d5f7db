//! Who may ask a validator.

use tokenbind_proto::v1::{IntrospectTokenRequest, Reason, ValidateTokenRequest};
use tokenbind_tests::{
    App, Client, DevStack, Resource, Stack, basic, bearer, client_credentials, on_every_backend, reason,
    with_authorization,
};
use tonic::{Code, Status};

use crate::fixture::{Shops, about, issue};

on_every_backend!(
    a_caller_without_good_credentials_gets_no_verdict,
    an_unknown_resource_and_a_wrong_secret_look_alike,
    a_caller_asks_only_for_itself,
);

async fn a_caller_without_good_credentials_gets_no_verdict(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let token = issue(&stack, &shops.jwt, "").await;
    let headers = [
        None,
        Some(basic(&shops.api.id, "")),
        Some(basic(&shops.api.id, "wrong")),
        Some(basic("", &shops.api.secret)),
        Some(basic(&shops.api.id.to_uppercase(), &shops.api.secret)),
        Some(basic(&shops.jwt.id, &shops.jwt.secret)),
        Some(bearer(&token)),
        Some(bearer(&shops.api.secret)),
        Some("Basic".to_owned()),
        Some("Basic !!!".to_owned()),
        Some("Digest x".to_owned()),
        Some(format!("{}, {}", shops.api.basic(), shops.api.basic())),
    ];
    for header in headers {
        let mut request = tonic::Request::new(about(&token));
        let mut introspection = tonic::Request::new(IntrospectTokenRequest {
            token: token.clone(),
            ..Default::default()
        });
        if let Some(header) = &header {
            request.metadata_mut().insert("authorization", header.parse().unwrap());
            introspection
                .metadata_mut()
                .insert("authorization", header.parse().unwrap());
        }
        let error = stack.validation().validate_token(request).await.unwrap_err();
        assert_refused(&error, header.as_deref());
        let error = stack.validation().introspect_token(introspection).await.unwrap_err();
        assert_refused(&error, header.as_deref());
    }
    stack.assert_live(&shops.api, &token).await;
}

/// A header that cannot be read is bad input; one that proves nothing is no authentication.
fn assert_refused(error: &Status, header: Option<&str>) {
    let expected = [
        (Code::Unauthenticated, "invalid_client"),
        (Code::InvalidArgument, "invalid_request"),
    ];
    let found = (error.code(), reason(error));
    assert!(expected.contains(&(found.0, found.1.as_str())), "{header:?}: {error:?}");
}

async fn an_unknown_resource_and_a_wrong_secret_look_alike(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let ask = async |id: &str, secret: &str| {
        let resource = Resource {
            id: id.to_owned(),
            secret: secret.to_owned(),
        };
        stack.judge(&resource, about("x")).await.unwrap_err()
    };
    let wrong = ask(&shops.api.id, "wrong").await;
    let unknown = ask("nobody", "wrong").await;
    assert_eq!(wrong.code(), unknown.code());
    assert_eq!(wrong.message(), unknown.message());
    assert_eq!(wrong.details(), unknown.details());
    assert_eq!(reason(&wrong), "invalid_client");
}

async fn a_caller_asks_only_for_itself(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let other = stack.api("other", &[]).await;
    let token = issue(&stack, &shops.jwt, "").await;
    let question = |resource: &str| ValidateTokenRequest {
        resource: resource.to_owned(),
        ..about(&token)
    };
    for resource in [shops.api.id.as_str(), "nobody"] {
        let error = stack.judge(&other, question(resource)).await.unwrap_err();
        assert_eq!(error.code(), Code::PermissionDenied);
    }
    let verdict = stack.judge(&shops.api, question(&shops.api.id)).await.unwrap();
    assert_eq!(verdict.reason(), Reason::Valid);
}

#[tokio::test]
async fn the_development_stack_takes_unauthenticated_callers_for_its_resource() {
    let dev = DevStack::start(&[]);
    let client = Client::new(dev.issuer(), dev.validator());
    let app: App = dev.app("shop-jwt");
    let token = client.issue(&app, client_credentials()).await.unwrap().access_token;
    let verdict = client.validation().validate_token(about(&token)).await.unwrap();
    assert_eq!(verdict.into_inner().reason(), Reason::Valid);
    // The 403 of the story.
    let intruder = client.issue(&dev.app("intruder"), client_credentials()).await.unwrap();
    let verdict = client
        .validation()
        .validate_token(about(&intruder.access_token))
        .await
        .unwrap();
    assert_eq!(verdict.into_inner().reason(), Reason::ClientNotAccepted);
    // Wrong credentials are not no credentials, and introspection always needs some.
    let wrong = with_authorization(about(&token), &basic(&dev.resource().id, "wrong"));
    let error = client.validation().validate_token(wrong).await.unwrap_err();
    assert_eq!(error.code(), Code::Unauthenticated);
    let introspection = IntrospectTokenRequest {
        token: token.clone(),
        ..Default::default()
    };
    let error = client.validation().introspect_token(introspection).await.unwrap_err();
    assert_eq!(error.code(), Code::Unauthenticated);
    assert!(client.introspect(&dev.resource(), &token).await.unwrap().active);
}
