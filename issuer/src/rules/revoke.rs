use secrecy::SecretString;
use tokenbind_proto::v1::TokenFormat;

use crate::error::IssuerError;
use crate::test_support::{Harness, START_US, client, text};

#[tokio::test]
async fn r1_the_application_revokes_its_token() {
    for format in [TokenFormat::Jwt, TokenFormat::Opaque] {
        let harness = Harness::new();
        harness.application("shop", format, |_| {}).await;
        let (x, y) = (harness.token("shop", "X").await, harness.token("shop", "Y").await);
        let revision = harness
            .issuer
            .revoke_token(Some(&client("shop")), &x.access_token)
            .await
            .unwrap();
        assert!(revision > y.revision);
        assert!(harness.live(text(&x)).await.is_none() && harness.live(text(&y)).await.is_some());
        // C21: a second time is a success as well.
        harness
            .issuer
            .revoke_token(Some(&client("shop")), &x.access_token)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn r1_c21_unknown_tokens_are_fine() {
    let harness = Harness::new();
    harness.application("shop", TokenFormat::Jwt, |_| {}).await;
    let live = harness.token("shop", "").await;
    for unknown in ["x", "tbo_", "a.b.c", &"x".repeat(8_192)] {
        let token = SecretString::from(unknown);
        let revision = harness
            .issuer
            .revoke_token(Some(&client("shop")), &token)
            .await
            .unwrap();
        assert!(revision >= START_US);
    }
    assert!(harness.live(text(&live)).await.is_some());
}

#[tokio::test]
async fn c22_another_applications_token_is_refused_and_still_live() {
    let harness = Harness::new();
    harness.application("shop", TokenFormat::Opaque, |_| {}).await;
    harness.application("other", TokenFormat::Opaque, |_| {}).await;
    let token = harness.token("shop", "X").await;
    let error = harness
        .issuer
        .revoke_token(Some(&client("other")), &token.access_token)
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "unauthorized_client");
    let error = harness
        .issuer
        .revoke_token(Some(&client("nobody")), &token.access_token)
        .await
        .unwrap_err();
    assert_eq!(error, IssuerError::InvalidClient);
    assert!(harness.live(text(&token)).await.is_some());
}

#[tokio::test]
async fn r5_revoking_a_superseded_token_leaves_the_slots_new_owner() {
    let harness = Harness::new();
    harness.application("shop", TokenFormat::Jwt, |_| {}).await;
    let (old, new) = (harness.token("shop", "X").await, harness.token("shop", "X").await);
    harness
        .issuer
        .revoke_token(Some(&client("shop")), &old.access_token)
        .await
        .unwrap();
    assert!(harness.live(text(&new)).await.is_some());
}
