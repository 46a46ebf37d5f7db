//! A key that leaked is withdrawn: nothing is made with it any more, and what was made with it is dead.

use std::sync::Arc;
use std::time::Duration;
use std::{fs, slice};

use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use tokenbind_index::memory::MemoryIndex;
use tokenbind_index::{Clock, DocumentKind, DocumentStore as _, Expect};
use tokenbind_proto::v1::{Application, GrantType, TokenFormat};

use crate::IssuerError;
use crate::context::Issuer;
use crate::grant::{Grant as _, RefreshToken};
use crate::keys::{Renew, RotationTimer};
use crate::opaque::OpaqueKeys;
use crate::signing::{KeyRing, generate_pem};
use crate::test_support::{CountingEntropy, Harness, request, request_for, text};

const WAIT: Duration = Duration::from_secs(300);

fn kid(token: &crate::issue::IssuedToken) -> String {
    jsonwebtoken::decode_header(text(token)).unwrap().kid.unwrap()
}

async fn published(issuer: &Issuer) -> Vec<String> {
    let jwks = issuer.key_set().await.unwrap().jwks;
    let keys = jwks["keys"].as_array().unwrap();
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// An issuer with a directory of signing keys of its own.
fn with_files(issuer: &Issuer, folder: &TempDir) -> Issuer {
    Issuer {
        keys: Arc::new(KeyRing::load(folder.path()).unwrap()),
        key_wait: WAIT,
        ..issuer.clone()
    }
}

fn put_key(folder: &TempDir, name: &str, entropy: &CountingEntropy) {
    fs::write(folder.path().join(name), generate_pem(entropy).unwrap().as_bytes()).unwrap();
}

#[tokio::test]
async fn a_withdrawn_key_is_replaced_at_once_and_signs_nothing_more() {
    let mut harness = Harness::new();
    harness.issuer.key_wait = WAIT;
    harness.application("shop", TokenFormat::Jwt, |_| {}).await;
    harness.issuer.publish_keys().await.unwrap();
    let token = harness.token("shop", "").await;
    let leaked = kid(&token);
    assert!(harness.issuer.live_token(text(&token)).await.unwrap().is_some());
    let withdrawal = harness.issuer.withdraw_signing_key(&leaked).await.unwrap();
    assert_ne!(withdrawal.active_key_id, leaked);
    assert_eq!(
        published(&harness.issuer).await,
        slice::from_ref(&withdrawal.active_key_id)
    );
    assert!(harness.issuer.live_token(text(&token)).await.unwrap().is_none());
    let next = harness.token("shop", "").await;
    assert_eq!(kid(&next), withdrawal.active_key_id);
    assert!(harness.issuer.live_token(text(&next)).await.unwrap().is_some());

    // Once more, because an answer was lost: it changes nothing, and is written down anew.
    let again = harness.issuer.withdraw_signing_key(&leaked).await.unwrap();
    assert_eq!(again.active_key_id, withdrawal.active_key_id);
    assert!(again.revision > withdrawal.revision);
    let unknown = harness.issuer.withdraw_signing_key("unknown").await.unwrap_err();
    assert_eq!(unknown, IssuerError::NotFound("key"));
}

#[tokio::test]
async fn no_issuer_that_holds_the_file_uses_or_publishes_it_again() {
    let harness = Harness::new();
    let (folder, entropy) = (tempfile::tempdir().unwrap(), CountingEntropy::default());
    harness.application("shop", TokenFormat::Jwt, |_| {}).await;
    put_key(&folder, "1.pem", &entropy);
    let (one, two) = (
        with_files(&harness.issuer, &folder),
        with_files(&harness.issuer, &folder),
    );
    one.publish_keys().await.unwrap();
    two.publish_keys().await.unwrap();
    let leaked = one.keys.active().key_id().to_owned();
    let refused = one.withdraw_signing_key(&leaked).await.unwrap_err();
    assert_eq!(refused, IssuerError::OnlyOne("key"));
    assert_eq!(published(&one).await, slice::from_ref(&leaked), "nothing was done");

    put_key(&folder, "2.pem", &entropy);
    let next = one.withdraw_signing_key(&leaked).await.unwrap().active_key_id;
    two.keep_keys(Renew::No).await.unwrap();
    let signed = two.issue_token(request("shop", "")).await.unwrap();
    assert_eq!(kid(&signed), next);
    // One that starts with the old file there, and one that has nothing else.
    let late = with_files(&harness.issuer, &folder);
    late.publish_keys().await.unwrap();
    assert_eq!(late.keys.active().key_id(), next);
    fs::remove_file(folder.path().join("2.pem")).unwrap();
    let behind = with_files(&harness.issuer, &folder);
    assert_eq!(
        behind.publish_keys().await.unwrap_err(),
        IssuerError::KeysWithdrawn("signing")
    );
    assert_eq!(
        behind.issue_token(request("shop", "")).await.unwrap_err(),
        IssuerError::KeysWithdrawn("signing")
    );
    // A day and more after, when other ended keys are taken back, it is still not forgotten.
    put_key(&folder, "3.pem", &entropy);
    harness.clock.advance(Duration::from_secs(200_000));
    for issuer in [&one, &two, &late, &behind] {
        issuer.publish_keys().await.unwrap();
        assert!(!published(issuer).await.contains(&leaked));
        assert_ne!(issuer.keys.active().key_id(), leaked);
    }
    let kept = harness
        .memory
        .document(DocumentKind::SigningKey, &leaked)
        .await
        .unwrap();
    assert!(kept.is_some());
}

#[tokio::test]
async fn an_index_that_lost_it_is_told_again() {
    let harness = Harness::new();
    harness.issuer.publish_keys().await.unwrap();
    let leaked = harness.issuer.keys.active().key_id().to_owned();
    harness.issuer.withdraw_signing_key(&leaked).await.unwrap();
    let emptied = Arc::new(MemoryIndex::new(Arc::clone(&harness.clock) as Arc<dyn Clock>));
    let issuer = harness.over(Arc::clone(&emptied) as Arc<dyn tokenbind_index::Store>);
    issuer.keep_keys(Renew::No).await.unwrap();
    let told = emptied.document(DocumentKind::SigningKey, &leaked).await.unwrap();
    assert!(told.is_some());
    assert!(!published(&issuer).await.contains(&leaked));
}

#[tokio::test]
async fn issuers_that_make_their_own_keys_make_another_one() {
    let mut harness = Harness::new();
    let (folder, entropy) = (tempfile::tempdir().unwrap(), CountingEntropy::default());
    harness.application("shop", TokenFormat::Jwt, |_| {}).await;
    let timer = RotationTimer::new(folder.path().to_owned(), Duration::from_secs(86_400));
    timer.begin(harness.clock.as_ref(), &entropy).unwrap();
    harness.issuer = with_files(&harness.issuer, &folder);
    harness.issuer.rotation = Some(timer);
    // Another one, with a key that only it has.
    let mut other = harness.issuer.clone();
    other.keys = Arc::new(KeyRing::generate(other.entropy.as_ref()).unwrap());
    other.rotation = None;
    for issuer in [&harness.issuer, &other] {
        issuer.publish_keys().await.unwrap();
    }
    let own = harness.issuer.keys.active().key_id().to_owned();
    let of_other = other.keys.active().key_id().to_owned();
    for leaked in [&own, &of_other] {
        harness.issuer.withdraw_signing_key(leaked).await.unwrap();
    }
    other.keep_keys(Renew::No).await.unwrap();
    let (mine, others) = (
        kid(&harness.token("shop", "").await),
        kid(&other.issue_token(request("shop", "")).await.unwrap()),
    );
    assert!(mine != own && others != of_other);
    let mut now = published(&harness.issuer).await;
    now.sort();
    let mut expected = [mine, others].to_vec();
    expected.sort();
    assert_eq!(now, expected);
}

#[tokio::test]
async fn what_a_withdrawn_opaque_key_derived_is_dead_and_is_not_derived_again() {
    let harness = Harness::new();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("1"), [0xff; 32]).unwrap();
    let issuer = Issuer {
        opaque_keys: Arc::new(OpaqueKeys::load(folder.path()).unwrap()),
        key_wait: WAIT,
        ..harness.issuer.clone()
    };
    issuer.publish_keys().await.unwrap();
    let refreshable = |it: &mut Application| it.grants.push(GrantType::RefreshToken.into());
    harness.application("shop", TokenFormat::Opaque, refreshable).await;
    harness.user("ada", |_| {}).await;
    let ask = async || issuer.issue_token(request_for("shop", "ada", "")).await.unwrap();
    let leaked = ask().await;
    assert!(issuer.live_token(text(&leaked)).await.unwrap().is_some());

    fs::write(folder.path().join("2"), [0xfe; 32]).unwrap();
    let withdrawal = issuer.withdraw_opaque_key("1").await.unwrap();
    assert_eq!(withdrawal.active_key_id, "2");
    assert!(issuer.live_token(text(&leaked)).await.unwrap().is_none());
    let application = issuer.applications.read("shop").await.unwrap().unwrap();
    let login = leaked.refresh_token.unwrap().token.expose_secret().to_owned();
    let refresh = RefreshToken { token: login.into() };
    assert_eq!(
        refresh.authorize(&issuer, &application).await.unwrap_err(),
        IssuerError::InvalidGrant
    );
    // S5 does not hold for it: the same request gets another token.
    let next = ask().await;
    assert!(!next.reused && next.superseded);
    let again = ask().await;
    assert!(again.reused && text(&again) == text(&next));
    let login = next.refresh_token.unwrap().token.expose_secret().to_owned();
    let refresh = RefreshToken { token: login.into() };
    assert!(refresh.authorize(&issuer, &application).await.is_ok());
}

/// Whoever renews a key at the same moment does not undo it.
#[tokio::test]
async fn a_renewal_that_comes_late_changes_nothing() {
    let harness = Harness::new();
    let issuer = &harness.issuer;
    issuer.publish_keys().await.unwrap();
    let leaked = issuer.keys.active();
    let before = harness.memory.document(DocumentKind::SigningKey, leaked.key_id()).await;
    issuer.withdraw_signing_key(leaked.key_id()).await.unwrap();
    // An issuer that read before and writes now is refused by the version; it looks again and lets it be.
    let late = harness.memory.put_document(
        DocumentKind::SigningKey,
        leaked.key_id(),
        before.as_ref().unwrap().as_ref().unwrap().body.clone(),
        Expect::Version(before.as_ref().unwrap().as_ref().unwrap().version),
    );
    assert_eq!(late.await.unwrap(), tokenbind_index::Put::Conflict);
    let holds = Issuer {
        keys: Arc::new(KeyRing::generate(harness.issuer.entropy.as_ref()).unwrap()),
        ..issuer.clone()
    };
    holds.publish_keys().await.unwrap();
    assert!(!published(&holds).await.contains(&leaked.key_id().to_owned()));
}
