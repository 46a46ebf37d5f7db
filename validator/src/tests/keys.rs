//! The published keys: known, new, withdrawn, wrong, and asked for without end (A2).

use std::time::Duration;

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use tokenbind_index::{DocumentKind, DocumentStore as _, Expect};
use tokenbind_proto::v1::{self, Reason, TokenFormat};

use super::fixture::{Fixture, ISSUER, Spec, question, resource};
use super::signer::Signer;
use crate::Resource;
use crate::facts::CacheLimits;

async fn signed_by(fixture: &Fixture, signer: &Signer) -> String {
    let spec = Spec::default();
    let locator = fixture.locator(&spec, TokenFormat::Jwt);
    let token = signer.sign(
        &signer.header().to_string(),
        &fixture.claims(&spec, &locator).to_string(),
    );
    fixture.adopt(&spec, &locator, &token).await;
    token
}

#[tokio::test]
async fn a_new_key_is_found_at_its_first_token() {
    let fixture = Fixture::new().await;
    let token = fixture.jwt(&Spec::default()).await;
    assert_eq!(fixture.reason(&token).await, Reason::Valid);
    let new = Signer::generate("key-2", Algorithm::ES256);
    let token = signed_by(&fixture, &new).await;
    assert_eq!(fixture.reason(&token).await, Reason::SignatureInvalid);
    fixture.publish(&new, ISSUER).await;
    assert_eq!(fixture.reason(&token).await, Reason::Valid);
}

#[tokio::test]
async fn known_keys_are_not_read_again_for_each_token() {
    let fixture = Fixture::new().await;
    let token = fixture.jwt(&Spec::default()).await;
    fixture.reason(&token).await;
    let lists = fixture.store.lists();
    for _ in 0..100 {
        assert_eq!(fixture.reason(&token).await, Reason::Valid);
    }
    assert_eq!(fixture.store.lists(), lists);
}

#[tokio::test]
async fn made_up_kids_load_the_keys_at_a_capped_rate_a2() {
    let fixture = Fixture::new().await;
    let stranger = Signer::generate("made-up", Algorithm::EdDSA);
    let token = signed_by(&fixture, &stranger).await;
    for _ in 0..1_000 {
        assert_eq!(fixture.reason(&token).await, Reason::SignatureInvalid);
    }
    // A burst of five, each a list and its end.
    assert_eq!(fixture.store.lists(), 5 * 2);
    for second in 1..=3 {
        fixture.pass(1);
        for _ in 0..100 {
            fixture.reason(&token).await;
        }
        assert_eq!(fixture.store.lists(), (5 + second) * 2);
    }
    // A new key is found all the same.
    fixture.publish(&stranger, ISSUER).await;
    fixture.pass(1);
    assert_eq!(fixture.reason(&token).await, Reason::Valid);
}

/// A clock that was an hour ahead for a moment stops nothing for an hour.
#[tokio::test]
async fn a_clock_that_was_wrong_keeps_no_new_key_waiting() {
    let fixture = Fixture::new().await;
    let new = Signer::generate("key-2", Algorithm::EdDSA);
    let token = signed_by(&fixture, &new).await;
    fixture.clock.set_ahead(Duration::from_secs(3_600));
    fixture.reason(&token).await;
    fixture.clock.set_ahead(Duration::ZERO);
    fixture.publish(&new, ISSUER).await;
    fixture.pass(1);
    assert_eq!(fixture.reason(&token).await, Reason::Valid);
}

#[tokio::test]
async fn a_hostile_kid_is_refused_before_anything_is_read_a2() {
    let fixture = Fixture::new().await;
    for kid in [
        "",
        "../key-1",
        "key\u{0}1",
        "key-1\r\n",
        "key 1",
        "sch\u{fc}ssel",
        &"k".repeat(129),
        &"k".repeat(5_000),
    ] {
        let token = fixture
            .jwt_with(&Spec::default(), |header, _| header["kid"] = json!(kid))
            .await;
        let reason = fixture.reason(&token).await;
        // A path is a name like any other: it is compared, and leads nowhere.
        let expected = if kid == "../key-1" {
            Reason::SignatureInvalid
        } else {
            Reason::TokenMalformed
        };
        assert_eq!(reason, expected, "{kid:?}");
    }
    for kid in [json!(null), json!(1), json!(["key-1"])] {
        let token = fixture
            .jwt_with(&Spec::default(), |header, _| header["kid"] = kid)
            .await;
        assert_eq!(fixture.reason(&token).await, Reason::TokenMalformed);
    }
    assert_eq!(fixture.store.lists(), 2, "one load, for the path");
}

#[tokio::test]
async fn what_a_withdrawn_key_made_is_refused_at_once_kept_or_not() {
    for fixture in [Fixture::new().await, Fixture::keeping(CacheLimits::default()).await] {
        let other = Signer::generate("key-2", Algorithm::EdDSA);
        fixture.publish(&other, ISSUER).await;
        let leaked = fixture.jwt(&Spec::default()).await;
        let of_other = Spec::bound_to("phone");
        let locator = fixture.locator(&of_other, TokenFormat::Jwt);
        let good = other.sign(
            &other.header().to_string(),
            &fixture.claims(&of_other, &locator).to_string(),
        );
        fixture.adopt(&of_other, &locator, &good).await;
        assert_eq!(fixture.reason(&leaked).await, Reason::Valid);
        assert_eq!(fixture.reason(&good).await, Reason::Valid);
        fixture.withdraw_signing_key("key-1").await;
        assert_eq!(fixture.reason(&leaked).await, Reason::SignatureInvalid);
        assert_eq!(fixture.reason(&good).await, Reason::Valid);
        fixture.pass(60);
        assert_eq!(fixture.reason(&leaked).await, Reason::SignatureInvalid);
        assert_eq!(fixture.reason(&good).await, Reason::Valid);
    }
}

#[tokio::test]
async fn what_a_withdrawn_opaque_key_derived_is_refused_at_once_kept_or_not() {
    for fixture in [Fixture::new().await, Fixture::keeping(CacheLimits::default()).await] {
        let derived = async |name: &str, spec: &Spec| {
            let name = name.to_owned();
            fixture.opaque_with(spec, |record| record.opaque_key_id = name).await
        };
        let leaked = derived("1", &Spec::default()).await;
        let good = derived("2", &Spec::bound_to("phone")).await;
        assert_eq!(fixture.reason(&leaked).await, Reason::Valid);
        assert_eq!(fixture.reason(&good).await, Reason::Valid);
        fixture.withdraw_opaque_key("1").await;
        assert_eq!(fixture.reason(&leaked).await, Reason::TokenNotLive);
        assert_eq!(fixture.reason(&good).await, Reason::Valid);
    }
}

/// V10: staleness that a resource allows is no way around it where the withdrawal was told before the index fell silent.
#[tokio::test]
async fn a_withdrawal_that_was_told_counts_without_the_index() {
    let fixture = Fixture::keeping(CacheLimits::default()).await;
    let orders = Resource::from(v1::Resource {
        allow_stale_seconds: 30,
        ..resource()
    });
    let token = fixture.jwt(&Spec::default()).await;
    assert_eq!(fixture.verdict_for(&token, &orders, |_| {}).await.reason, Reason::Valid);
    fixture.withdraw_signing_key("key-1").await;
    fixture.store.silence(true);
    fixture.store.switch(false);
    let asked = question(&token, &orders);
    assert!(fixture.validator.validate(&asked).await.is_err());
    fixture.store.silence(false);
    fixture.store.switch(true);
    assert_eq!(fixture.reason(&token).await, Reason::SignatureInvalid);
}

#[tokio::test]
async fn a_key_that_is_published_no_more_verifies_nothing() {
    let fixture = Fixture::new().await;
    let token = fixture.jwt(&Spec::default()).await;
    assert_eq!(fixture.reason(&token).await, Reason::Valid);
    fixture
        .store
        .delete_document(DocumentKind::SigningKey, "key-1", Expect::Any, 0)
        .await
        .unwrap();
    assert_eq!(fixture.reason(&token).await, Reason::SignatureInvalid);
}

#[tokio::test]
async fn an_expired_key_verifies_nothing() {
    let fixture = Fixture::new().await;
    fixture.pass(86_399);
    let token = fixture.jwt(&Spec::default()).await;
    assert_eq!(fixture.reason(&token).await, Reason::Valid);
    fixture.pass(1);
    assert_eq!(fixture.reason(&token).await, Reason::SignatureInvalid);
    // An issuer that holds the key moves its end on.
    fixture.publish(&fixture.signer, ISSUER).await;
    assert_eq!(fixture.reason(&token).await, Reason::Valid);
}

#[tokio::test]
async fn an_index_that_fails_is_asked_once_a_second() {
    let fixture = Fixture::new().await;
    let token = fixture.jwt(&Spec::default()).await;
    fixture.store.switch(false);
    for _ in 0..100 {
        fixture.unanswered(&token).await;
    }
    assert_eq!(fixture.store.lists(), 1);
    fixture.pass(1);
    fixture.unanswered(&token).await;
    assert_eq!(fixture.store.lists(), 2);
    fixture.store.switch(true);
    fixture.pass(1);
    assert_eq!(fixture.reason(&token).await, Reason::Valid);
}

#[tokio::test]
async fn a_bad_key_is_left_out_and_spoils_no_other() {
    let fixture = Fixture::new().await;
    let good = serde_json::to_value(&fixture.signer.jwk).unwrap();
    let changed = |kid: &str, name: &str, value: Value| {
        let mut jwk = good.clone();
        jwk["kid"] = json!(kid);
        jwk[name] = value;
        (kid.to_owned(), jwk.to_string())
    };
    let bad = [
        ("a".to_owned(), "{".to_owned()),
        ("b".to_owned(), good.to_string()),
        changed("c", "alg", json!("HS256")),
        changed("d", "alg", json!("ES256")),
        changed("e", "x", json!("AAAA")),
        changed("f", "x", json!("!")),
        changed("g", "use", json!("enc")),
        changed("h", "crv", json!("P-256")),
        (
            "i".to_owned(),
            json!({"kty": "oct", "k": "c2VjcmV0", "alg": "HS256", "kid": "i"}).to_string(),
        ),
    ];
    for (kid, jwk) in bad {
        fixture.publish_jwk(&kid, jwk, ISSUER).await;
        let stranger = fixture
            .jwt_with(&Spec::default(), |header, _| header["kid"] = json!(kid))
            .await;
        assert_eq!(fixture.reason(&stranger).await, Reason::SignatureInvalid, "{kid}");
        fixture.pass(1);
    }
    let token = fixture.jwt(&Spec::default()).await;
    assert_eq!(fixture.reason(&token).await, Reason::Valid);
}
