//! Many questions in one call.

use tokenbind_proto::v1::{
    Reason, ValidateTokenRequest, ValidateTokenResponse, ValidateTokensRequest, ValidateTokensResponse,
};
use tokenbind_tests::{Resource, Stack, fields, on_every_backend, with_authorization};
use tonic::{Code, Status};

use crate::fixture::{Shops, about, issue, presented_with};

on_every_backend!(
    a_batch_is_answered_in_its_order,
    a_batch_with_a_bad_question_is_refused_whole,
);

async fn ask(
    stack: &Stack,
    resource: &Resource,
    requests: Vec<ValidateTokenRequest>,
) -> Result<ValidateTokensResponse, Status> {
    let request = with_authorization(ValidateTokensRequest { requests }, &resource.basic());
    Ok(stack.validation().validate_tokens(request).await?.into_inner())
}

async fn a_batch_is_answered_in_its_order(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let superseded = issue(&stack, &shops.jwt, "").await;
    let live = issue(&stack, &shops.jwt, "").await;
    let phone = issue(&stack, &shops.opaque, "phone-1").await;
    let kinds = [
        (about(&live), Reason::Valid),
        (about(&superseded), Reason::TokenSuperseded),
        (about(""), Reason::TokenMissing),
        (presented_with(&phone, "phone-2"), Reason::BindingMismatch),
        (about("nonsense"), Reason::TokenMalformed),
        (presented_with(&phone, "phone-1"), Reason::Valid),
    ];
    // In an order that no other order answers alike.
    let chosen: Vec<_> = (0..1_000_usize)
        .map(|number| &kinds[(number * number + number / 7) % 6])
        .collect();
    let requests = chosen.iter().map(|(question, _)| question.clone()).collect();
    let answer = ask(&stack, &shops.api, requests).await.unwrap();
    let reasons: Vec<_> = answer.responses.iter().map(ValidateTokenResponse::reason).collect();
    let expected: Vec<_> = chosen.iter().map(|(_, reason)| *reason).collect();
    assert_eq!(reasons, expected);
}

async fn a_batch_with_a_bad_question_is_refused_whole(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let live = issue(&stack, &shops.jwt, "").await;
    let long = "x".repeat(8_193);
    let mut requests = vec![about(&live); 20];
    requests[17] = about(&long);
    requests[19] = presented_with(&live, &"x".repeat(256));
    let error = ask(&stack, &shops.api, requests).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert_eq!(
        fields(&error),
        ["requests[17].token", "requests[19].presenter.token_binding_id"]
    );
    for count in [0, 1_001] {
        let error = ask(&stack, &shops.api, vec![about(""); count]).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        assert_eq!(fields(&error), ["requests"]);
    }
    let answer = ask(&stack, &shops.api, vec![about(&live); 20]).await.unwrap();
    assert!(answer.responses.iter().all(|one| one.reason() == Reason::Valid));
}
