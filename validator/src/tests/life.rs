//! V2: what is not live.

use tokenbind_index::{BindingIndex as _, DocumentKind, DocumentStore as _, Expect, OpaqueToken, Selection};
use tokenbind_proto::v1::{self, Decision, FreshnessSource, Reason, TokenFormat};

use super::fixture::{Fixture, GENERATION, LIFETIME_SECONDS, SHOP, Spec, application};
use crate::Unavailable;

const FORMATS: [TokenFormat; 2] = [TokenFormat::Jwt, TokenFormat::Opaque];

async fn token(fixture: &Fixture, format: TokenFormat, spec: &Spec) -> String {
    match format {
        TokenFormat::Opaque => fixture.opaque(spec).await,
        _ => fixture.jwt(spec).await,
    }
}

#[tokio::test]
async fn a_live_token_is_allowed_with_its_facts_v9_v11() {
    for format in FORMATS {
        let fixture = Fixture::new().await;
        let spec = Spec::bound_to("phone");
        let text = token(&fixture, format, &spec).await;
        let asked_at = fixture.clock_us();
        let verdict = fixture.verdict(&text).await;
        assert_eq!(
            (verdict.reason, verdict.http_status()),
            (Reason::Valid, 200),
            "{format:?}"
        );
        assert_eq!(verdict.www_authenticate, "");
        let facts = verdict.token.unwrap();
        assert_eq!((facts.grant.format, facts.grant.client_id.as_str()), (format, SHOP));
        assert_eq!(
            (&facts.subject, &facts.grant.scopes, &facts.grant.audiences),
            (&spec.subject, &spec.scopes, &spec.audiences)
        );
        assert_eq!(facts.expires_at_us - facts.issued_at_us, LIFETIME_SECONDS * 1_000_000);
        assert_eq!(verdict.freshness.source, FreshnessSource::Index);
        assert_eq!(verdict.freshness.revision, facts.revision);
        assert_eq!(
            (verdict.freshness.checked_at_us, verdict.freshness.max_staleness_us),
            (asked_at, 0)
        );
    }
}

#[tokio::test]
async fn a_newer_token_of_the_slot_supersedes_s2() {
    for format in FORMATS {
        let fixture = Fixture::new().await;
        let (first, other) = (
            token(&fixture, format, &Spec::default()).await,
            token(&fixture, format, &Spec::bound_to("phone")).await,
        );
        let second = token(&fixture, format, &Spec::default()).await;
        assert_eq!(fixture.reason(&first).await, Reason::TokenSuperseded, "{format:?}");
        assert_eq!(fixture.reason(&second).await, Reason::Valid);
        // Another binding is another slot (S4, S8).
        assert_eq!(fixture.reason(&other).await, Reason::Valid);
    }
}

#[tokio::test]
async fn a_revoked_token_is_not_live_r3() {
    for format in FORMATS {
        let fixture = Fixture::new().await;
        let spec = Spec::default();
        let text = token(&fixture, format, &spec).await;
        fixture
            .store
            .revoke_subject(spec.subject.home(), Selection::default())
            .await
            .unwrap();
        let verdict = fixture.verdict(&text).await;
        assert_eq!(
            (verdict.reason, verdict.decision()),
            (Reason::TokenNotLive, Decision::Unauthenticated)
        );
        assert!(verdict.token.is_none());
    }
}

#[tokio::test]
async fn a_new_generation_of_the_application_revokes_all_of_the_one_before_r4() {
    for format in FORMATS {
        let fixture = Fixture::new().await;
        let old = token(&fixture, format, &Spec::default()).await;
        fixture
            .store
            .raise_generation(DocumentKind::Application, SHOP)
            .await
            .unwrap();
        assert_eq!(fixture.reason(&old).await, Reason::ApplicationRevoked, "{format:?}");
        let spec = Spec {
            generation: GENERATION + 1,
            ..Spec::default()
        };
        let new = token(&fixture, format, &spec).await;
        assert_eq!(fixture.reason(&new).await, Reason::Valid, "{format:?}");
    }
}

#[tokio::test]
async fn no_token_outlives_its_application() {
    for format in FORMATS {
        let fixture = Fixture::new().await;
        let text = token(&fixture, format, &Spec::default()).await;
        let delete = fixture
            .store
            .delete_document(DocumentKind::Application, SHOP, Expect::Any, 60_000);
        delete.await.unwrap();
        assert_eq!(fixture.reason(&text).await, Reason::ApplicationRevoked, "{format:?}");
        // An application of the same name does not bring it back.
        fixture.put_application(application()).await;
        assert_eq!(fixture.reason(&text).await, Reason::ApplicationRevoked, "{format:?}");
    }
}

#[tokio::test]
async fn a_disabled_application_has_no_use_of_its_tokens() {
    for format in FORMATS {
        let fixture = Fixture::new().await;
        let text = token(&fixture, format, &Spec::default()).await;
        fixture
            .put_application(v1::Application {
                disabled: true,
                ..application()
            })
            .await;
        assert_eq!(fixture.reason(&text).await, Reason::ApplicationDisabled, "{format:?}");
        fixture.put_application(application()).await;
        assert_eq!(fixture.reason(&text).await, Reason::Valid, "{format:?}");
    }
}

#[tokio::test]
async fn an_opaque_token_ends_with_its_record() {
    let fixture = Fixture::new().await;
    let text = fixture.opaque(&Spec::default()).await;
    fixture.pass(LIFETIME_SECONDS - 1);
    assert_eq!(fixture.reason(&text).await, Reason::Valid);
    fixture.pass(1);
    assert_eq!(fixture.reason(&text).await, Reason::TokenNotLive);
}

#[tokio::test]
async fn a_made_up_secret_part_was_never_issued() {
    let fixture = Fixture::new().await;
    let text = fixture.opaque(&Spec::default()).await;
    let mut opaque = OpaqueToken::decode(&text).unwrap();
    opaque.secret[31] ^= 1;
    assert_eq!(fixture.reason(&opaque.encode()).await, Reason::TokenNotLive);
    assert_eq!(fixture.reason(&text).await, Reason::Valid);
}

#[tokio::test]
async fn a_mistyped_opaque_token_is_refused_before_the_index_is_asked() {
    let fixture = Fixture::new().await;
    let text = fixture.opaque(&Spec::default()).await;
    let reads = fixture.store.reads();
    let mistyped = [
        text[..text.len() - 1].to_owned(),
        format!("{text}A"),
        format!(
            "{}{}",
            &text[..text.len() - 1],
            if text.ends_with('A') { "B" } else { "A" }
        ),
        OpaqueToken::PREFIX.to_owned(),
        format!("{}{}", OpaqueToken::PREFIX, "a.b.c"),
    ];
    for mistyped in mistyped {
        assert_eq!(fixture.reason(&mistyped).await, Reason::TokenMalformed, "{mistyped}");
    }
    assert_eq!(fixture.store.reads(), reads);
}

#[tokio::test]
async fn without_the_index_there_is_no_verdict_v10() {
    for format in FORMATS {
        let fixture = Fixture::new().await;
        let text = token(&fixture, format, &Spec::default()).await;
        fixture.store.switch(false);
        let Unavailable(error) = fixture.unanswered(&text).await;
        assert!(matches!(error, tokenbind_index::IndexError::Unavailable(_)));
        fixture.store.switch(true);
        // The keys are tried again after a moment.
        fixture.pass(1);
        assert_eq!(fixture.reason(&text).await, Reason::Valid, "{format:?}");
    }
}
