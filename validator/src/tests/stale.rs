//! V10 where a resource chooses otherwise: which tokens are good while the index cannot be reached, and for how long.

use tokenbind_index::{BindingIndex as _, DocumentKind, DocumentStore as _, Expect, Selection};
use tokenbind_proto::v1::{self, FreshnessSource, Reason};
use tonic::Code;

use super::fixture::{Fixture, LIFETIME_SECONDS, SHOP, Spec, application, question, resource};
use super::grpc::{Service, ask};
use crate::facts::CacheLimits;
use crate::{Consistency, OpenLimits, Question, Resource, Unavailable, Verdict};

const ALLOWED_SECONDS: u64 = 30;

fn patient() -> v1::Resource {
    v1::Resource {
        allow_stale_seconds: u32::try_from(ALLOWED_SECONDS).unwrap(),
        ..resource()
    }
}

async fn fixture() -> Fixture {
    Fixture::keeping(CacheLimits::default()).await
}

async fn asked(fixture: &Fixture, token: &str) -> Result<Verdict, Unavailable> {
    asked_with(fixture, token, &Resource::from(patient()), |_| {}).await
}

async fn asked_with<'a>(
    fixture: &Fixture,
    token: &'a str,
    resource: &'a Resource,
    change: impl FnOnce(&mut Question<'a>),
) -> Result<Verdict, Unavailable> {
    let mut question = question(token, resource);
    change(&mut question);
    fixture.validator.validate(&question).await
}

/// The index is frozen: it neither answers nor tells.
fn lose(fixture: &Fixture) {
    fixture.store.silence(true);
    fixture.store.switch(false);
}

fn find(fixture: &Fixture) {
    fixture.store.silence(false);
    fixture.store.switch(true);
}

async fn known(fixture: &Fixture) -> String {
    let token = fixture.jwt(&Spec::default()).await;
    assert_eq!(asked(fixture, &token).await.unwrap().reason, Reason::Valid);
    token
}

#[tokio::test]
async fn a_known_jwt_is_allowed_for_as_long_as_the_resource_says() {
    let fixture = fixture().await;
    let token = known(&fixture).await;
    lose(&fixture);
    for passed in [0, 1, ALLOWED_SECONDS] {
        fixture.pass(passed.min(ALLOWED_SECONDS - 1));
        let verdict = asked(&fixture, &token).await.unwrap();
        assert_eq!(verdict.reason, Reason::Valid, "{passed}");
        assert_eq!(verdict.freshness.source, FreshnessSource::Cache);
        assert_eq!(verdict.freshness.max_staleness_us, passed * 1_000_000, "V11");
        assert_eq!(verdict.freshness.checked_at_us, fixture.clock_us());
    }
    fixture.pass(1);
    asked(&fixture, &token).await.unwrap_err();
}

#[tokio::test]
async fn nothing_else_is_allowed() {
    let fixture = fixture().await;
    let token = known(&fixture).await;
    let other = Spec {
        scopes: vec!["orders.write".to_owned()],
        ..Spec::default()
    };
    let unknown = fixture.jwt(&other).await;
    let opaque = fixture.opaque(&Spec::default()).await;
    assert_eq!(asked(&fixture, &opaque).await.unwrap().reason, Reason::Valid);
    lose(&fixture);
    asked(&fixture, &unknown).await.unwrap_err();
    asked(&fixture, &opaque).await.unwrap_err();
    let (patient, strict) = (Resource::from(patient()), Resource::from(resource()));
    for consistency in [Consistency::FullyConsistent, Consistency::AtLeastAsFresh(1)] {
        let fresh = |question: &mut Question<'_>| question.consistency = consistency;
        asked_with(&fixture, &token, &patient, fresh).await.unwrap_err();
    }
    asked_with(&fixture, &token, &strict, |_| {}).await.unwrap_err();
    assert_eq!(asked(&fixture, &token).await.unwrap().reason, Reason::Valid);
}

#[tokio::test]
async fn a_change_that_was_told_counts() {
    let revoked = fixture().await;
    let token = known(&revoked).await;
    let home = Spec::default().subject.home();
    revoked.store.revoke_subject(home, Selection::default()).await.unwrap();
    lose(&revoked);
    asked(&revoked, &token).await.unwrap_err();

    let disabled = fixture().await;
    let token = known(&disabled).await;
    disabled
        .put_application(v1::Application {
            disabled: true,
            ..application()
        })
        .await;
    lose(&disabled);
    asked(&disabled, &token).await.unwrap_err();

    let deleted = fixture().await;
    let token = known(&deleted).await;
    let delete = deleted
        .store
        .delete_document(DocumentKind::Application, SHOP, Expect::Any, 60_000);
    delete.await.unwrap();
    // It is known that there is none.
    assert_eq!(
        asked(&deleted, &token).await.unwrap().reason,
        Reason::ApplicationRevoked
    );
    lose(&deleted);
    assert_eq!(
        asked(&deleted, &token).await.unwrap().reason,
        Reason::ApplicationRevoked
    );
}

#[tokio::test]
async fn time_and_policy_are_judged_all_the_same() {
    let fixture = fixture().await;
    let token = known(&fixture).await;
    fixture.pass(LIFETIME_SECONDS - 10);
    lose(&fixture);
    let scopes = ["orders.write".to_owned()];
    let patient = Resource::from(patient());
    let verdict = asked_with(&fixture, &token, &patient, |question| {
        question.required_scopes = &scopes;
    })
    .await;
    assert_eq!(verdict.unwrap().reason, Reason::ScopeInsufficient);
    fixture.pass(9);
    assert_eq!(asked(&fixture, &token).await.unwrap().reason, Reason::Valid);
    fixture.pass(1);
    assert_eq!(asked(&fixture, &token).await.unwrap().reason, Reason::TokenExpired);
}

/// An index that answers but does not tell is read: what it says counts.
#[tokio::test]
async fn an_index_that_can_be_reached_is_asked() {
    let fixture = fixture().await;
    let token = known(&fixture).await;
    fixture.store.silence(true);
    let verdict = asked(&fixture, &token).await.unwrap();
    assert_eq!(verdict.freshness.source, FreshnessSource::Index);
    fixture.store.switch(false);
    let verdict = asked(&fixture, &token).await.unwrap();
    assert_eq!(verdict.freshness.source, FreshnessSource::Cache);
    find(&fixture);
    let home = Spec::default().subject.home();
    fixture.store.revoke_subject(home, Selection::default()).await.unwrap();
    assert_eq!(asked(&fixture, &token).await.unwrap().reason, Reason::TokenNotLive);
}

/// A frozen index costs each read its time-out: one in a while is enough.
#[tokio::test]
async fn one_question_in_a_while_tries_the_index() {
    let fixture = fixture().await;
    let token = known(&fixture).await;
    lose(&fixture);
    let reads = fixture.store.reads();
    for _ in 0..100 {
        asked(&fixture, &token).await.unwrap();
    }
    let tried = fixture.store.reads() - reads;
    fixture.pass(1);
    for _ in 0..100 {
        asked(&fixture, &token).await.unwrap();
    }
    assert_eq!(fixture.store.reads() - reads, 2 * tried);
    assert!(tried <= 2, "record and application: {tried}");
}

/// The caller is known from before, too, or nobody could ask.
#[tokio::test]
async fn callers_are_known_for_as_long() {
    let service = Service::keeping(OpenLimits::default()).await;
    let fixture = &service.fixture;
    service.put_resource(patient()).await;
    let token = fixture.jwt(&Spec::default()).await;
    let validate = async || service.validate(service.basic(), ask(&token)).await;
    assert_eq!(validate().await.unwrap().reason(), Reason::Valid);
    lose(fixture);
    fixture.pass(ALLOWED_SECONDS);
    let answer = validate().await.unwrap();
    assert_eq!(answer.reason(), Reason::Valid);
    let staleness = answer.freshness.unwrap().max_staleness.unwrap();
    assert_eq!(u64::try_from(staleness.seconds).unwrap(), ALLOWED_SECONDS);
    let wrong = super::grpc::basic(super::fixture::RESOURCE, "wrong");
    let refused = service.validate(Some(wrong), ask(&token)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    fixture.pass(1);
    assert_eq!(validate().await.unwrap_err().code(), Code::Unavailable);
    find(fixture);
    assert_eq!(validate().await.unwrap().reason(), Reason::Valid);
}
