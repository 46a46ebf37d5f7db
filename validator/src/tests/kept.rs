//! What a validator keeps, for how long, and what it never keeps.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::join_all;
use tokenbind_index::{BindingIndex as _, DocumentKind, DocumentStore as _, Locator, OpaqueToken, Selection};
use tokenbind_proto::v1::{self, FreshnessSource, Reason};
use tokenbind_runtime::credentials::Credentials;

use super::fixture::{Fixture, LIFETIME_SECONDS, RESOURCE, SHOP, Spec, application, resource};
use super::grpc::{SECRET, secret};
use crate::caller::{CallerError, Callers};
use crate::facts::CacheLimits;
use crate::{Consistency, Resource, Verdict};

async fn fixture() -> Fixture {
    Fixture::keeping(CacheLimits::default()).await
}

/// A JWT of which the validator knows the facts.
async fn known(fixture: &Fixture) -> String {
    let token = fixture.jwt(&Spec::default()).await;
    assert_eq!(fixture.reason(&token).await, Reason::Valid);
    token
}

async fn asked(fixture: &Fixture, token: &str, consistency: Consistency) -> Verdict {
    let orders = Resource::from(resource());
    let ask = |question: &mut crate::Question<'_>| question.consistency = consistency;
    fixture.verdict_for(token, &orders, ask).await
}

#[tokio::test]
async fn what_is_known_is_not_read_again() {
    let fixture = fixture().await;
    for token in [
        fixture.jwt(&Spec::default()).await,
        fixture.opaque(&Spec::default()).await,
    ] {
        let first = fixture.verdict(&token).await;
        assert_eq!(first.freshness.source, FreshnessSource::Index);
        let reads = fixture.store.reads();
        let second = fixture.verdict(&token).await;
        assert_eq!((first.reason, second.reason), (Reason::Valid, Reason::Valid));
        assert_eq!(second.freshness.source, FreshnessSource::Cache, "V11");
        assert_eq!(second.freshness.revision, first.freshness.revision);
        assert_eq!(fixture.store.reads(), reads);
    }
}

#[tokio::test]
async fn a_superseded_or_revoked_token_is_refused_at_once() {
    let fixture = fixture().await;
    let first = known(&fixture).await;
    let second = known(&fixture).await;
    assert_eq!(fixture.reason(&first).await, Reason::TokenSuperseded);
    let home = Spec::default().subject.home();
    fixture.store.revoke_subject(home, Selection::default()).await.unwrap();
    assert_eq!(fixture.reason(&second).await, Reason::TokenNotLive);
    assert_eq!(fixture.reason(&first).await, Reason::TokenSuperseded, "remembered");
}

#[tokio::test]
async fn r4_a_revoked_or_changed_application_counts_at_once() {
    let fixture = fixture().await;
    let token = known(&fixture).await;
    fixture
        .put_application(v1::Application {
            disabled: true,
            ..application()
        })
        .await;
    assert_eq!(fixture.reason(&token).await, Reason::ApplicationDisabled);
    fixture.put_application(application()).await;
    assert_eq!(fixture.reason(&token).await, Reason::Valid);
    let raised = fixture.store.raise_generation(DocumentKind::Application, SHOP).await;
    raised.unwrap();
    assert_eq!(fixture.reason(&token).await, Reason::ApplicationRevoked);
}

/// C29: nothing is used past its end.
#[tokio::test]
async fn time_is_judged_on_every_call() {
    let fixture = fixture().await;
    let token = known(&fixture).await;
    fixture.pass(LIFETIME_SECONDS);
    assert_eq!(fixture.reason(&token).await, Reason::TokenExpired);
}

#[tokio::test]
async fn v13_policy_is_judged_on_every_call() {
    let fixture = fixture().await;
    let token = known(&fixture).await;
    let refusing = Resource::from(v1::Resource {
        accepted_client_ids: vec![],
        ..resource()
    });
    let verdict = fixture.verdict_for(&token, &refusing, |_| {}).await;
    assert_eq!(verdict.reason, Reason::ClientNotAccepted);
    assert_eq!(fixture.reason(&token).await, Reason::Valid);
}

#[tokio::test]
async fn consistency_says_what_may_be_kept() {
    let fixture = fixture().await;
    let token = known(&fixture).await;
    let now = fixture.store.ping().await.unwrap();
    for (consistency, source) in [
        (Consistency::MinimizeLatency, FreshnessSource::Cache),
        (Consistency::AtLeastAsFresh(now - 1), FreshnessSource::Cache),
        (Consistency::AtLeastAsFresh(now + 1_000_000), FreshnessSource::Index),
        (Consistency::FullyConsistent, FreshnessSource::Index),
    ] {
        let verdict = asked(&fixture, &token, consistency).await;
        assert_eq!(
            (verdict.reason, verdict.freshness.source),
            (Reason::Valid, source),
            "{consistency:?}"
        );
    }
}

/// V10: an index that is not heard is read, and one that cannot be read is not guessed at.
#[tokio::test]
async fn what_is_kept_is_not_used_when_the_index_is_not_heard() {
    let fixture = fixture().await;
    let token = known(&fixture).await;
    fixture.store.silence(true);
    let verdict = fixture.verdict(&token).await;
    assert_eq!(
        (verdict.reason, verdict.freshness.source),
        (Reason::Valid, FreshnessSource::Index)
    );
    fixture.store.switch(false);
    fixture.unanswered(&token).await;
    fixture.store.silence(false);
    fixture.store.switch(true);
    assert_eq!(fixture.verdict(&token).await.freshness.source, FreshnessSource::Cache);
}

/// What was read as of now is not forgotten for what is kept, where the telling of a change is late.
#[tokio::test]
async fn what_was_refused_as_of_now_is_refused_from_then_on() {
    let fixture = fixture().await;
    fixture.store.delay(true);
    for opaque in [false, true] {
        let token = if opaque {
            fixture.opaque(&Spec::default()).await
        } else {
            fixture.jwt(&Spec::default()).await
        };
        assert_eq!(fixture.reason(&token).await, Reason::Valid);
        let home = Spec::default().subject.home();
        fixture.store.revoke_subject(home, Selection::default()).await.unwrap();
        assert_eq!(fixture.reason(&token).await, Reason::Valid, "not told yet");
        let now = asked(&fixture, &token, Consistency::FullyConsistent).await;
        assert_eq!(now.reason, Reason::TokenNotLive);
        assert_eq!(fixture.reason(&token).await, Reason::TokenNotLive);
    }
}

/// The same where both are being read at the same time.
#[tokio::test]
async fn a_read_from_before_a_refusal_is_not_kept() {
    let fixture = fixture().await;
    fixture.store.delay(true);
    let token = fixture.jwt(&Spec::default()).await;
    let (before, now) = tokio::join!(fixture.verdict(&token), async {
        let home = Spec::default().subject.home();
        fixture.store.revoke_subject(home, Selection::default()).await.unwrap();
        asked(&fixture, &token, Consistency::FullyConsistent).await
    });
    assert_eq!((before.reason, now.reason), (Reason::Valid, Reason::TokenNotLive));
    assert_eq!(fixture.reason(&token).await, Reason::TokenNotLive);
}

#[tokio::test]
async fn r4_what_was_read_of_an_application_as_of_now_counts_from_then_on() {
    let fixture = fixture().await;
    fixture.store.delay(true);
    let token = known(&fixture).await;
    let raised = fixture.store.raise_generation(DocumentKind::Application, SHOP).await;
    raised.unwrap();
    assert_eq!(fixture.reason(&token).await, Reason::Valid, "not told yet");
    let now = asked(&fixture, &token, Consistency::FullyConsistent).await;
    assert_eq!(now.reason, Reason::ApplicationRevoked);
    assert_eq!(fixture.reason(&token).await, Reason::ApplicationRevoked);
}

#[tokio::test]
async fn questions_about_one_token_are_one_read() {
    let fixture = fixture().await;
    // The application and the key are known.
    known(&fixture).await;
    fixture.reason(&fixture.opaque(&Spec::bound_to("phone")).await).await;
    let token = fixture.opaque(&Spec::default()).await;
    let reads = fixture.store.reads();
    let verdicts = join_all((0..64).map(|_| fixture.verdict(&token))).await;
    assert!(verdicts.iter().all(|verdict| verdict.reason == Reason::Valid));
    // One look at whether it was issued at all, and the read that is kept.
    assert_eq!(fixture.store.reads(), reads + 2);
}

#[tokio::test]
async fn questions_about_one_dead_token_are_one_read() {
    let fixture = fixture().await;
    let (dead, made_up) = (known(&fixture).await, made_up(1));
    let home = Spec::default().subject.home();
    fixture.store.revoke_subject(home, Selection::default()).await.unwrap();
    for token in [&dead, &made_up] {
        let reads = fixture.store.reads();
        let verdicts = join_all((0..64).map(|_| fixture.verdict(token))).await;
        assert!(verdicts.iter().all(|verdict| verdict.reason == Reason::TokenNotLive));
        assert_eq!(fixture.store.reads(), reads + 1);
    }
}

/// V11. While the application is being read, the token ends, and time passes.
#[tokio::test]
async fn an_answer_that_took_long_is_of_when_it_began() {
    let fixture = fixture().await;
    let token = known(&fixture).await;
    fixture.put_application(application()).await;
    let revoked = async {
        let home = Spec::default().subject.home();
        let revoked = fixture.store.revoke_subject(home, Selection::default()).await;
        fixture.clock.advance(std::time::Duration::from_millis(100));
        revoked.unwrap().revision
    };
    let (verdict, revision) = tokio::join!(fixture.verdict(&token), revoked);
    assert_eq!(verdict.reason, Reason::Valid, "it was asked for before the end");
    let freshness = verdict.freshness;
    assert!(
        freshness.checked_at_us - freshness.max_staleness_us <= revision,
        "{freshness:?}, revoked at {revision}"
    );
}

/// Anybody can make up an opaque token. The index is not asked to remember what it told of one, and not asked about many at
/// a time.
#[tokio::test]
async fn made_up_tokens_load_the_index_little() {
    let fixture = fixture().await;
    let known = known(&fixture).await;
    let tracked = fixture.store.tracked();
    let made_up: Vec<_> = (0..1_000_u16).map(made_up).collect();
    for consistency in [Consistency::MinimizeLatency, Consistency::FullyConsistent] {
        let verdicts = join_all(made_up.iter().map(|token| asked(&fixture, token, consistency)));
        let refused = |verdict: Verdict| verdict.reason == Reason::TokenNotLive;
        assert!(verdicts.await.into_iter().all(refused));
    }
    assert_eq!(fixture.store.tracked(), tracked);
    let most = fixture.store.most_plain();
    assert!((1..=128).contains(&most), "{most} at a time");
    assert_eq!(fixture.reason(&known).await, Reason::Valid);
}

fn made_up(number: u16) -> String {
    let mut locator = [1; Locator::BYTES];
    locator[..2].copy_from_slice(&number.to_le_bytes().map(|byte| byte & 0x5f));
    locator[2..4].copy_from_slice(&number.to_be_bytes().map(|byte| byte >> 5));
    let locator = Locator::from_bytes(&locator).unwrap();
    let secret = [2; 32];
    OpaqueToken { locator, secret }.encode()
}

/// Anybody can make up a caller's name, too.
#[tokio::test]
async fn made_up_callers_are_not_remembered() {
    let fixture = fixture().await;
    let callers = Callers::new(&fixture.inputs, None);
    let tracked = fixture.store.tracked();
    for number in 0..100 {
        let credentials = Credentials::Basic {
            id: format!("stranger-{number}"),
            secret: "secret".into(),
        };
        let error = callers.authenticate(Some(&credentials)).await.unwrap_err();
        assert!(matches!(error, CallerError::InvalidClient));
    }
    assert_eq!(fixture.store.tracked(), tracked);
}

#[tokio::test]
async fn a_dead_token_is_remembered_briefly() {
    let fixture = fixture().await;
    let dead = known(&fixture).await;
    let home = Spec::default().subject.home();
    fixture.store.revoke_subject(home, Selection::default()).await.unwrap();
    let reads = fixture.store.reads();
    for _ in 0..100 {
        assert_eq!(fixture.reason(&dead).await, Reason::TokenNotLive);
    }
    assert_eq!(fixture.store.reads(), reads + 1);
    fixture.pass(2);
    assert_eq!(fixture.reason(&dead).await, Reason::TokenNotLive);
    assert_eq!(fixture.store.reads(), reads + 2);
}

#[tokio::test]
async fn no_more_is_kept_than_may_be() {
    let limits = CacheLimits {
        entries: 10,
        bytes: 1 << 20,
    };
    let fixture = Fixture::keeping(limits).await;
    let mut tokens = Vec::new();
    for number in 0..100 {
        let spec = Spec {
            scopes: vec![format!("scope-{number}")],
            ..Spec::default()
        };
        let token = fixture.jwt(&spec).await;
        fixture.verdict(&token).await;
        tokens.push(token);
    }
    let mut kept = 0;
    for token in &tokens {
        kept += usize::from(fixture.verdict(token).await.freshness.source == FreshnessSource::Cache);
    }
    assert!(kept <= 10, "{kept} are kept");
}

/// A caller that was identified before a change of its resource asks for an answer that knows the change.
#[tokio::test]
async fn a_resource_is_as_fresh_as_the_answer_has_to_be() {
    let fixture = fixture().await;
    fixture.put_resource(resource(), vec![secret(SECRET, 0)]).await;
    let callers = Callers::new(&fixture.inputs, None);
    let credentials = Credentials::Basic {
        id: RESOURCE.to_owned(),
        secret: SECRET.into(),
    };
    let caller = callers.identify(Some(&credentials)).await.unwrap();
    fixture.pass(1);
    let changed = v1::Resource {
        accepted_client_ids: vec![],
        ..resource()
    };
    fixture.put_resource(changed, vec![secret(SECRET, 0)]).await;
    let revision = fixture.clock_us();
    fixture.pass(1);
    for consistency in [Consistency::AtLeastAsFresh(revision), Consistency::FullyConsistent] {
        let resource = callers.resource(&caller, "", consistency).await.unwrap();
        assert!(!resource.accepts_client(SHOP), "{consistency:?}");
    }
}

/// Credentials that were good are recalled, for as long as they are.
#[tokio::test]
async fn credentials_are_recalled_until_the_resource_changes() {
    let fixture = fixture().await;
    let rotated_at = i64::try_from(fixture.clock_us() / 1_000_000).unwrap() + 100;
    let old = || secret(SECRET, rotated_at);
    fixture.put_resource(resource(), vec![old(), secret("new", 0)]).await;
    let callers = Callers::new(&fixture.inputs, None);
    let value = |secret: &str| format!("Basic {}", STANDARD.encode(format!("{RESOURCE}:{secret}")));
    let good = async |secret: &str| callers.identify_by(Some(value(secret).as_bytes())).await.is_ok();
    for _ in 0..3 {
        assert!(good(SECRET).await && good("new").await && !good("wrong").await);
    }
    fixture.pass(100);
    assert!(!good(SECRET).await, "it has ended");
    assert!(good("new").await);
    fixture.put_resource(resource(), vec![secret("newer", 0)]).await;
    assert!(!good("new").await && good("newer").await);
    for _ in 0..3 {
        assert!(!good("new").await && good("newer").await);
    }
}
