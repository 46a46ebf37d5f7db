use std::sync::Arc;
use std::time::Duration;

use tokenbind_proto::v1::TokenFormat;

use crate::signing::KeyRing;
use crate::test_support::{Harness, text};

fn key_ids(jwks: &serde_json::Value) -> Vec<String> {
    let keys = jwks["keys"].as_array().unwrap();
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_published_keys_are_the_key_set_and_hold_no_secret() {
    let harness = Harness::new();
    assert!(key_ids(&harness.issuer.key_set().await.unwrap().jwks).is_empty());
    harness.issuer.publish_keys().await.unwrap();
    let set = harness.issuer.key_set().await.unwrap();
    assert_eq!(key_ids(&set.jwks), [harness.issuer.keys.active().key_id()]);
    assert_eq!(set.active_key_id, harness.issuer.keys.active().key_id());
    let members: Vec<_> = set.jwks["keys"][0]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x"]);
}

#[tokio::test]
async fn a_rotated_key_is_published_beside_the_one_before_and_signs() {
    let harness = Harness::new();
    harness.application("shop", TokenFormat::Jwt, |_| {}).await;
    harness.issuer.publish_keys().await.unwrap();
    let before = harness.issuer.keys.active().key_id().to_owned();
    let after = harness.issuer.rotate_signing_key().await.unwrap();
    assert_ne!(after, before);
    let mut published = key_ids(&harness.issuer.key_set().await.unwrap().jwks);
    published.sort();
    let mut expected = vec![before, after.clone()];
    expected.sort();
    assert_eq!(published, expected);
    let token = harness.token("shop", "").await;
    assert_eq!(jsonwebtoken::decode_header(text(&token)).unwrap().kid, Some(after));
}

#[tokio::test]
async fn a_key_outlives_its_last_token_and_goes_when_nobody_renews_it() {
    let harness = Harness::new();
    harness.issuer.publish_keys().await.unwrap();
    let old = harness.issuer.keys.active().key_id().to_owned();
    let new = harness.issuer.rotate_signing_key().await.unwrap();
    // The longest lifetime of a token that the old key signed in its last moment.
    harness.clock.advance(Duration::from_secs(86_400));
    harness.issuer.publish_keys().await.unwrap();
    assert_eq!(
        harness.issuer.key_set().await.unwrap().jwks["keys"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    harness.clock.advance(Duration::from_secs(3_600));
    assert!(!key_ids(&harness.issuer.key_set().await.unwrap().jwks).contains(&old));
    harness.issuer.publish_keys().await.unwrap();
    assert_eq!(key_ids(&harness.issuer.key_set().await.unwrap().jwks), [new]);
    let kind = tokenbind_index::DocumentKind::SigningKey;
    let stored = tokenbind_index::DocumentStore::document(&harness.memory, kind, &old)
        .await
        .unwrap();
    assert!(stored.is_none());
}

#[tokio::test]
async fn c39_a_key_belongs_to_one_issuer() {
    let harness = Harness::new();
    harness.issuer.publish_keys().await.unwrap();
    let mut other = harness.issuer.clone();
    other.issuer_url = "https://other.example".into();
    let error = other.publish_keys().await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("is published for the issuer https://issuer.example"),
        "{error}"
    );
    // With a key of its own it is welcome, and its key is not in the set of the first.
    other.keys = Arc::new(KeyRing::generate(other.entropy.as_ref()).unwrap());
    other.publish_keys().await.unwrap();
    let set = harness.issuer.key_set().await.unwrap();
    assert_eq!(key_ids(&set.jwks), [harness.issuer.keys.active().key_id()]);
}
