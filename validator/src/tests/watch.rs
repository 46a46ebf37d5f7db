//! `WatchToken`: each way in which a token ends is told at once, and nobody waits for what would not be told.

use std::time::Duration;

use futures::StreamExt as _;
use tokenbind_index::{BindingIndex as _, DocumentKind, DocumentStore as _, Expect, Selection};
use tokenbind_proto::answering::WatchTokenResponse;
use tokenbind_proto::answering::validation_service_server::ValidationService as _;
use tokenbind_proto::v1::{self, Reason, ValidateTokenRequest, WatchTokenRequest};
use tokenbind_runtime::shutdown::Shutdown;
use tokio::time::timeout;
use tonic::{Code, Status};

use super::fixture::{Fixture, LIFETIME_SECONDS, RESOURCE, SHOP, Spec, application, resource};
use super::grpc::{SECRET, Service, ask, fields, secret, with_credentials};
use crate::caller::Callers;
use crate::facts::CacheLimits;
use crate::transport::grpc::{Answers, ValidationGrpc};
use crate::{OpenCalls, OpenLimits};

/// In the time of the test, which passes when there is nothing to do.
const SOON: Duration = Duration::from_millis(1);

async fn service() -> Service {
    Service::keeping(OpenLimits::default()).await
}

async fn watch(service: &Service, request: ValidateTokenRequest) -> Result<Answers<WatchTokenResponse>, Status> {
    let request = WatchTokenRequest { request: Some(request) };
    let answers = service
        .grpc
        .watch_token(with_credentials(service.basic(), request))
        .await;
    answers.map(tonic::Response::into_inner)
}

async fn next(answers: &mut Answers<WatchTokenResponse>) -> Option<Result<Reason, Status>> {
    let next = timeout(SOON, answers.next()).await.expect("told at once")?;
    Some(next.map(|answer| answer.response.unwrap().reason()))
}

async fn allowed(service: &Service, token: &str) -> Answers<WatchTokenResponse> {
    let mut answers = watch(service, ask(token)).await.unwrap();
    assert_eq!(next(&mut answers).await.unwrap().unwrap(), Reason::Valid);
    answers
}

async fn ends_with(mut answers: Answers<WatchTokenResponse>, reason: Reason) {
    assert_eq!(next(&mut answers).await.unwrap().unwrap(), reason);
    assert!(next(&mut answers).await.is_none(), "a refusal is the last answer");
}

async fn fails_with(mut answers: Answers<WatchTokenResponse>, code: Code) {
    assert_eq!(next(&mut answers).await.unwrap().unwrap_err().code(), code);
    assert!(next(&mut answers).await.is_none());
}

/// What ends a token.
#[derive(Clone, Copy, Debug)]
enum End {
    Revoked,
    Superseded,
    Expired,
    Disabled,
    AllRevoked,
    Deleted,
    NotAccepted,
    KeyWithdrawn,
}

impl End {
    async fn happen(self, fixture: &Fixture, opaque: bool) -> Reason {
        let store = &fixture.store;
        match self {
            Self::Revoked => {
                let home = Spec::default().subject.home();
                store.revoke_subject(home, Selection::default()).await.unwrap();
                Reason::TokenNotLive
            }
            Self::Superseded => {
                if opaque {
                    fixture.opaque(&Spec::default()).await;
                } else {
                    fixture.jwt(&Spec::default()).await;
                }
                Reason::TokenSuperseded
            }
            Self::Expired => {
                // The store's clock is some microseconds ahead: no two writes share one.
                fixture.pass(LIFETIME_SECONDS + 1);
                tokio::time::advance(Duration::from_secs(LIFETIME_SECONDS + 1)).await;
                Reason::TokenExpired
            }
            Self::Disabled => {
                let disabled = v1::Application {
                    disabled: true,
                    ..application()
                };
                fixture.put_application(disabled).await;
                Reason::ApplicationDisabled
            }
            Self::AllRevoked => {
                let raised = store.raise_generation(DocumentKind::Application, SHOP).await;
                raised.unwrap();
                Reason::ApplicationRevoked
            }
            Self::Deleted => {
                let delete = store.delete_document(DocumentKind::Application, SHOP, Expect::Any, 60_000);
                delete.await.unwrap();
                Reason::ApplicationRevoked
            }
            Self::NotAccepted => {
                let refusing = v1::Resource {
                    accepted_client_ids: vec![],
                    ..resource()
                };
                fixture.put_resource(refusing, vec![secret(SECRET, 0)]).await;
                Reason::ClientNotAccepted
            }
            Self::KeyWithdrawn if opaque => {
                // The one that the records of the fixture name.
                fixture.withdraw_opaque_key("").await;
                Reason::TokenNotLive
            }
            Self::KeyWithdrawn => {
                fixture.withdraw_signing_key("key-1").await;
                Reason::SignatureInvalid
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_end_of_a_token_is_told_at_once() {
    for end in [
        End::Revoked,
        End::Superseded,
        End::Expired,
        End::Disabled,
        End::AllRevoked,
        End::Deleted,
        End::NotAccepted,
        End::KeyWithdrawn,
    ] {
        for opaque in [false, true] {
            let service = service().await;
            let fixture = &service.fixture;
            let token = if opaque {
                fixture.opaque(&Spec::default()).await
            } else {
                fixture.jwt(&Spec::default()).await
            };
            let answers = allowed(&service, &token).await;
            let reason = end.happen(fixture, opaque).await;
            println!("{end:?}, opaque: {opaque}");
            ends_with(answers, reason).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_refused_now_is_not_watched() {
    let service = service().await;
    for (token, reason) in [("", Reason::TokenMissing), ("x", Reason::TokenMalformed)] {
        ends_with(watch(&service, ask(token)).await.unwrap(), reason).await;
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_reads_nothing_and_what_changes_nothing_is_not_told() {
    let service = service().await;
    let token = service.fixture.jwt(&Spec::default()).await;
    let mut answers = allowed(&service, &token).await;
    let reads = service.fixture.store.reads();
    let waited = timeout(Duration::from_secs(3_600), answers.next()).await;
    assert!(waited.is_err(), "{waited:?}");
    assert_eq!(service.fixture.store.reads(), reads);
    service.put_resource(resource()).await;
    service.fixture.put_application(application()).await;
    let waited = timeout(Duration::from_secs(3_600), answers.next()).await;
    assert!(waited.is_err(), "{waited:?}");
    assert_eq!(service.fixture.store.reads(), reads + 2, "both documents once");
    let reason = End::Revoked.happen(&service.fixture, false).await;
    ends_with(answers, reason).await;
}

/// A change while the first look is under way is not missed.
#[tokio::test(start_paused = true)]
async fn no_change_slips_in_before_the_wait() {
    for yields in 0..20 {
        let service = service().await;
        let token = service.fixture.jwt(&Spec::default()).await;
        let mut answers = watch(&service, ask(&token)).await.unwrap();
        for _ in 0..yields {
            tokio::task::yield_now().await;
        }
        End::Revoked.happen(&service.fixture, false).await;
        let mut last = None;
        while let Some(reason) = next(&mut answers).await {
            last = Some(reason.unwrap());
        }
        assert_eq!(last, Some(Reason::TokenNotLive), "{yields}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_index_ends_the_watch() {
    let service = service().await;
    let token = service.fixture.jwt(&Spec::default()).await;
    let answers = allowed(&service, &token).await;
    service.fixture.store.silence(true);
    fails_with(answers, Code::Unavailable).await;
    // Reachable, but nothing would be told.
    fails_with(watch(&service, ask(&token)).await.unwrap(), Code::Unavailable).await;
    service.fixture.store.silence(false);
    allowed(&service, &token).await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_whose_credentials_end_hears_no_more() {
    let service = service().await;
    let fixture = &service.fixture;
    let token = fixture.jwt(&Spec::default()).await;
    let answers = allowed(&service, &token).await;
    fixture.put_resource(resource(), vec![secret("another", 0)]).await;
    fails_with(answers, Code::Unauthenticated).await;

    service.put_resource(resource()).await;
    let answers = allowed(&service, &token).await;
    let delete = fixture
        .store
        .delete_document(DocumentKind::Resource, RESOURCE, Expect::Any, 60_000);
    delete.await.unwrap();
    fails_with(answers, Code::Unauthenticated).await;

    let ends = i64::try_from(fixture.now()).unwrap() + 60;
    fixture.put_resource(resource(), vec![secret(SECRET, ends)]).await;
    let answers = allowed(&service, &token).await;
    fixture.pass(60);
    tokio::time::advance(Duration::from_secs(60)).await;
    fails_with(answers, Code::Unauthenticated).await;
}

#[tokio::test(start_paused = true)]
async fn watches_are_bounded_and_one_that_nobody_reads_is_free_again() {
    let limits = OpenLimits {
        watches: 2,
        ..OpenLimits::default()
    };
    let service = Service::keeping(limits).await;
    let token = service.fixture.jwt(&Spec::default()).await;
    let first = allowed(&service, &token).await;
    let _second = allowed(&service, &token).await;
    let refused = watch(&service, ask(&token)).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    drop(first);
    let again = async {
        while watch(&service, ask(&token)).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), again).await.expect("room again");
}

#[tokio::test(start_paused = true)]
async fn a_validator_that_stops_ends_its_watches() {
    let shutdown = Shutdown::manual();
    let fixture = Fixture::keeping(CacheLimits::default()).await;
    let calls = OpenCalls::new(&fixture.inputs, OpenLimits::default());
    let grpc = ValidationGrpc::new(
        fixture.validator.clone(),
        Callers::new(&fixture.inputs, Some(RESOURCE.to_owned())),
        calls.ending_with(shutdown.clone(), Duration::from_secs(5)),
    );
    let token = fixture.jwt(&Spec::default()).await;
    let request = WatchTokenRequest {
        request: Some(ask(&token)),
    };
    let mut answers = grpc
        .watch_token(tonic::Request::new(request))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(next(&mut answers).await.unwrap().unwrap(), Reason::Valid);
    shutdown.trigger();
    assert!(timeout(Duration::from_secs(4), answers.next()).await.is_err());
    let ended = timeout(Duration::from_secs(2), answers.next()).await.unwrap();
    assert_eq!(ended.unwrap().unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn what_is_watched_has_the_limits_of_any_question() {
    let service = service().await;
    let refused = watch(&service, ask(&"x".repeat(8_193))).await.unwrap_err();
    assert_eq!(fields(&refused), ["request.token"]);
    let nothing = with_credentials(service.basic(), WatchTokenRequest { request: None });
    let refused = service.grpc.watch_token(nothing).await.unwrap_err();
    assert_eq!(fields(&refused), ["request"]);
    let nobody = with_credentials(
        None,
        WatchTokenRequest {
            request: Some(ask("x")),
        },
    );
    let refused = service.grpc.watch_token(nobody).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
}
