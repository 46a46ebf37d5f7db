//! The limits of the fields, each told with its path.

use tokenbind_proto::v1::consistency::Requirement;
use tokenbind_proto::v1::{self, IntrospectTokenRequest, Presenter, Reason, ValidateTokenRequest};
use tonic::Code;

use super::fixture::{SHOP, texts};
use super::grpc::{OTHER, Service, ask, fields};

/// A request with every field over its limit.
fn over_the_limits() -> ValidateTokenRequest {
    ValidateTokenRequest {
        token: "x".repeat(8_193),
        presenter: Some(Presenter {
            client_id: "x".repeat(256),
            token_binding_id: "x".repeat(256),
            certificate_sha256: vec![0; 31],
        }),
        resource: "x".repeat(256),
        expected_client_ids: texts(&["", &"x".repeat(256), SHOP]),
        required_scopes: texts(&["a b", "", &"x".repeat(129), "\"", "ok"]),
        consistency: Some(v1::Consistency {
            requirement: Some(Requirement::FullyConsistent(false)),
        }),
    }
}

const VIOLATIONS: [&str; 11] = [
    "token",
    "resource",
    "expected_client_ids[0]",
    "expected_client_ids[1]",
    "required_scopes[0]",
    "required_scopes[1]",
    "required_scopes[2]",
    "required_scopes[3]",
    "presenter.client_id",
    "presenter.token_binding_id",
    "presenter.certificate_sha256",
];

#[tokio::test]
async fn every_violation_is_told_at_once() {
    let service = Service::new().await;
    let refused = service.validate(service.basic(), over_the_limits()).await.unwrap_err();
    let expected: Vec<_> = VIOLATIONS.into_iter().chain(["consistency.fully_consistent"]).collect();
    assert_eq!(fields(&refused), expected);
}

#[tokio::test]
async fn lists_and_levels_have_limits() {
    let service = Service::new().await;
    let consistency = |requirement| {
        Some(v1::Consistency {
            requirement: Some(requirement),
        })
    };
    let wrong = [
        (
            ValidateTokenRequest {
                expected_client_ids: vec![SHOP.to_owned(); 65],
                ..ask("x")
            },
            "expected_client_ids",
        ),
        (
            ValidateTokenRequest {
                required_scopes: vec!["a".to_owned(); 65],
                ..ask("x")
            },
            "required_scopes",
        ),
        (
            ValidateTokenRequest {
                consistency: consistency(Requirement::AtLeastAsFresh(0)),
                ..ask("x")
            },
            "consistency.at_least_as_fresh",
        ),
        (
            ValidateTokenRequest {
                consistency: consistency(Requirement::MinimizeLatency(false)),
                ..ask("x")
            },
            "consistency.minimize_latency",
        ),
    ];
    for (request, field) in wrong {
        let refused = service.validate(service.basic(), request).await.unwrap_err();
        assert_eq!(fields(&refused), [field]);
    }
}

#[tokio::test]
async fn what_is_at_a_limit_is_answered() {
    let service = Service::new().await;
    for requirement in [
        Requirement::MinimizeLatency(true),
        Requirement::AtLeastAsFresh(1),
        Requirement::FullyConsistent(true),
    ] {
        let request = ValidateTokenRequest {
            token: "x".repeat(8_192),
            presenter: Some(Presenter {
                client_id: "x".repeat(255),
                token_binding_id: "x".repeat(255),
                certificate_sha256: vec![0; 32],
            }),
            resource: String::new(),
            expected_client_ids: vec!["x".repeat(255); 64],
            required_scopes: vec!["x".repeat(128); 64],
            consistency: Some(v1::Consistency {
                requirement: Some(requirement),
            }),
        };
        let answer = service.validate(service.basic(), request).await.unwrap();
        assert_eq!(answer.reason(), Reason::TokenMalformed);
    }
}

#[tokio::test]
async fn a_batch_is_1_to_1000_and_good_throughout() {
    let service = Service::new().await;
    for count in [0, 1_001] {
        let refused = service.batch(vec![ask("x"); count]).await.unwrap_err();
        assert_eq!(fields(&refused), ["requests"]);
    }
    let mut requests = vec![ask("x"); 20];
    requests[17] = ask(&"x".repeat(8_193));
    requests[19].required_scopes = texts(&["\u{e9}"]);
    let refused = service.batch(requests).await.unwrap_err();
    assert_eq!(
        fields(&refused),
        ["requests[17].token", "requests[19].required_scopes[0]"]
    );
    // What is told of a batch that is wrong all over still fits in a header.
    let refused = service.batch(vec![over_the_limits(); 10]).await.unwrap_err();
    assert_eq!(fields(&refused).len(), 32);
    assert!(refused.details().len() < 4_096, "{}", refused.details().len());
    // One that asks for another resource spoils it, too.
    let mut requests = vec![ask("x"); 3];
    requests[1].resource = OTHER.to_owned();
    assert_eq!(
        service.batch(requests).await.unwrap_err().code(),
        Code::PermissionDenied
    );
}

#[tokio::test]
async fn introspection_has_limits() {
    let service = Service::new().await;
    let request = |token: usize, hint: usize| IntrospectTokenRequest {
        token: "x".repeat(token),
        token_type_hint: "x".repeat(hint),
    };
    let refused = service.introspect(service.basic(), request(0, 65)).await.unwrap_err();
    assert_eq!(fields(&refused), ["token", "token_type_hint"]);
    let refused = service
        .introspect(service.basic(), request(8_193, 0))
        .await
        .unwrap_err();
    assert_eq!(fields(&refused), ["token"]);
    assert!(
        !service
            .introspect(service.basic(), request(8_192, 64))
            .await
            .unwrap()
            .active
    );
}
