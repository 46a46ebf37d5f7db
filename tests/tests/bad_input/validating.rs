//! `ValidationService`

use tokenbind_proto::v1::consistency::Requirement;
use tokenbind_proto::v1::{Consistency, IntrospectTokenRequest, Presenter, ValidateTokenRequest};
use tokenbind_tests::{Stack, on_every_backend, with_authorization};

use crate::{Spoiled, assert_violations};

on_every_backend!(
    each_field_of_validate_token_has_a_limit,
    each_field_of_introspect_token_has_a_limit
);

fn presenter(request: &mut ValidateTokenRequest) -> &mut Presenter {
    request.presenter.get_or_insert_default()
}

const VALIDATE: &[Spoiled<ValidateTokenRequest>] = &[
    (&["token"], |it| it.token = "x".repeat(8_193)),
    (&["resource"], |it| it.resource = "x".repeat(256)),
    (&["presenter.client_id"], |it| presenter(it).client_id = "x".repeat(256)),
    (&["presenter.token_binding_id"], |it| {
        presenter(it).token_binding_id = "x".repeat(256);
    }),
    (&["presenter.certificate_sha256"], |it| {
        presenter(it).certificate_sha256 = vec![0; 31];
    }),
    (&["presenter.certificate_sha256"], |it| {
        presenter(it).certificate_sha256 = vec![0; 33];
    }),
    (&["expected_client_ids"], |it| {
        it.expected_client_ids = vec!["x".to_owned(); 65];
    }),
    (&["expected_client_ids[1]"], |it| {
        it.expected_client_ids = vec!["x".to_owned(), "x".repeat(256)];
    }),
    (&["required_scopes"], |it| it.required_scopes = vec!["x".to_owned(); 65]),
    (&["required_scopes[1]"], |it| {
        it.required_scopes = vec!["x".to_owned(), "a b".to_owned()];
    }),
    (&["required_scopes[0]"], |it| it.required_scopes = vec!["x".repeat(129)]),
    (&["consistency.at_least_as_fresh"], |it| {
        it.consistency = Some(Consistency {
            requirement: Some(Requirement::AtLeastAsFresh(0)),
        });
    }),
    (&["token", "required_scopes[0]", "presenter.client_id"], |it| {
        it.token = "x".repeat(8_193);
        it.required_scopes = vec![String::new()];
        presenter(it).client_id = "x".repeat(256);
    }),
];

async fn each_field_of_validate_token_has_a_limit(stack: Stack) {
    let resource = stack.api("api", &[]).await;
    for (paths, spoil) in VALIDATE {
        let mut question = ValidateTokenRequest::default();
        spoil(&mut question);
        let error = stack.judge(&resource, question).await.unwrap_err();
        assert_violations(&error, paths);
    }
    stack.judge(&resource, ValidateTokenRequest::default()).await.unwrap();
}

const INTROSPECT: &[Spoiled<IntrospectTokenRequest>] = &[
    (&["token"], |it| it.token.clear()),
    (&["token"], |it| it.token = "x".repeat(8_193)),
    (&["token_type_hint"], |it| it.token_type_hint = "x".repeat(65)),
];

async fn each_field_of_introspect_token_has_a_limit(stack: Stack) {
    let resource = stack.api("api", &[]).await;
    for (paths, spoil) in INTROSPECT {
        let mut message = IntrospectTokenRequest {
            token: "x".to_owned(),
            ..Default::default()
        };
        spoil(&mut message);
        let request = with_authorization(message, &resource.basic());
        let error = stack.validation().introspect_token(request).await.unwrap_err();
        assert_violations(&error, paths);
    }
    assert!(!stack.introspect(&resource, "x").await.unwrap().active);
}
