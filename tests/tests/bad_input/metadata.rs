//! A16: what does not fit is refused, and the connection goes on.

use tokenbind_proto::v1::{TokenFormat, ValidateTokenRequest, ValidateTokensRequest};
use tokenbind_tests::{Ask as _, Stack, client_credentials, on_every_backend, with_authorization};
use tonic::metadata::MetadataValue;
use tonic::{Code, Request};

on_every_backend!(a16_metadata_has_a_limit, a_message_has_a_limit);

async fn a16_metadata_has_a_limit(stack: Stack) {
    let app = stack.shop("shop", TokenFormat::Opaque).await;
    // A little too much gets an answer that says so.
    let mut request = Request::new(client_credentials().by(&app.id, &app.secret));
    let value = MetadataValue::try_from("x".repeat(17_000)).unwrap();
    request.metadata_mut().insert("x-large", value);
    let error = stack.tokens().issue_token(request).await.unwrap_err();
    assert_eq!(error.code(), Code::ResourceExhausted);
    // Far too much is refused by HTTP/2 itself, in whatever way: never served, and never a server that hangs.
    let mut request = Request::new(client_credentials().by(&app.id, &app.secret));
    let value = MetadataValue::try_from("x".repeat(1 << 20)).unwrap();
    request.metadata_mut().insert("x-large", value);
    stack.tokens().issue_token(request).await.unwrap_err();
    stack.issue(&app, client_credentials()).await.unwrap();
}

async fn a_message_has_a_limit(stack: Stack) {
    let app = stack.shop("shop", TokenFormat::Opaque).await;
    let resource = stack.api("api", &[&app]).await;
    let huge = "x".repeat(2 << 20);
    let error = stack
        .issue(&app, client_credentials().bound_to(&huge))
        .await
        .unwrap_err();
    assert!(
        matches!(error.code(), Code::OutOfRange | Code::ResourceExhausted),
        "{error:?}"
    );
    let question = ValidateTokenRequest {
        token: huge,
        ..Default::default()
    };
    let request = ValidateTokensRequest {
        requests: vec![question],
    };
    let request = with_authorization(request, &resource.basic());
    let error = stack.validation().validate_tokens(request).await.unwrap_err();
    assert!(
        matches!(error.code(), Code::OutOfRange | Code::ResourceExhausted),
        "{error:?}"
    );
    let token = stack.issue(&app, client_credentials()).await.unwrap();
    stack.assert_live(&resource, &token.access_token).await;
}
