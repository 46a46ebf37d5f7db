use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use tokenbind_index::{DocumentKind, DocumentStore as _};
use tokenbind_proto::v1::{Application, GrantType, TokenFormat};

use crate::IssuerError;
use crate::context::Issuer;
use crate::keys::{Renew, RotationTimer, When};
use crate::opaque::OpaqueKeys;
use crate::signing::{KeyRing, generate_pem};
use crate::test_support::{CountingEntropy, Harness, request_for, text};

const WAIT: Duration = Duration::from_secs(300);

fn key_ids(jwks: &serde_json::Value) -> Vec<String> {
    let keys = jwks["keys"].as_array().unwrap();
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

async fn published(issuer: &Issuer) -> Vec<String> {
    let mut ids = key_ids(&issuer.key_set().await.unwrap().jwks);
    ids.sort();
    ids
}

fn sorted<const N: usize>(ids: [&str; N]) -> Vec<String> {
    let mut ids = ids.map(str::to_owned).to_vec();
    ids.sort();
    ids
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
async fn a_rotated_key_is_published_beside_the_one_before_and_signs_when_it_is_known() {
    let mut harness = Harness::new();
    harness.issuer.key_wait = WAIT;
    harness.application("shop", TokenFormat::Jwt, |_| {}).await;
    harness.issuer.publish_keys().await.unwrap();
    let before = harness.issuer.keys.active().key_id().to_owned();
    let rotation = harness.issuer.rotate_signing_key(When::Known).await.unwrap();
    let after = rotation.newest_key_id;
    assert_ne!(after, before);
    assert_eq!(rotation.active_key_id, before);
    assert_eq!(published(&harness.issuer).await, sorted([&before, &after]));
    let signer = async |harness: &Harness| {
        harness.issuer.keep_keys(Renew::No).await.unwrap();
        let token = harness.token("shop", "").await;
        jsonwebtoken::decode_header(text(&token)).unwrap().kid.unwrap()
    };
    harness.clock.advance(Duration::from_secs(299));
    assert_eq!(signer(&harness).await, before);
    harness.clock.advance(Duration::from_secs(1));
    assert_eq!(signer(&harness).await, after);

    // Where a key leaked, nobody waits.
    let rotation = harness.issuer.rotate_signing_key(When::Now).await.unwrap();
    assert_eq!(rotation.active_key_id, rotation.newest_key_id);
    assert_eq!(signer(&harness).await, rotation.newest_key_id);
}

#[tokio::test]
async fn a_key_outlives_its_last_token_and_goes_when_nobody_renews_it() {
    let harness = Harness::new();
    harness.issuer.publish_keys().await.unwrap();
    let old = harness.issuer.keys.active().key_id().to_owned();
    let new = harness
        .issuer
        .rotate_signing_key(When::Known)
        .await
        .unwrap()
        .newest_key_id;
    // The longest lifetime of a token that the old key signed in its last moment.
    harness.clock.advance(Duration::from_secs(86_400));
    harness.issuer.publish_keys().await.unwrap();
    assert_eq!(published(&harness.issuer).await, sorted([&old, &new]));
    harness.clock.advance(Duration::from_secs(3_600));
    assert!(!published(&harness.issuer).await.contains(&old));
    harness.issuer.publish_keys().await.unwrap();
    assert_eq!(published(&harness.issuer).await, [new]);
    let stored = harness.memory.document(DocumentKind::SigningKey, &old).await.unwrap();
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

/// An issuer with key files of its own.
struct Pod {
    folder: TempDir,
    issuer: Issuer,
}

impl Pod {
    fn new(harness: &Harness, files: &[(&str, u8)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, byte) in files {
            put(folder.path(), name, *byte);
        }
        let mut issuer = harness.issuer.clone();
        issuer.opaque_keys = Arc::new(OpaqueKeys::load(folder.path()).unwrap());
        issuer.key_wait = WAIT;
        Self { folder, issuer }
    }

    /// Which key new tokens are derived with.
    async fn uses(&self) -> String {
        self.issuer.keep_keys(Renew::No).await.unwrap();
        self.issuer.opaque_keys.in_use().unwrap().to_string()
    }
}

fn put(folder: &Path, name: &str, byte: u8) {
    fs::write(folder.join(name), [byte; 32]).unwrap();
}

#[tokio::test]
async fn issuers_use_a_new_opaque_key_when_all_have_had_the_time_to_get_it() {
    let harness = Harness::new();
    let files = [("2026-01", 0xff)];
    let (one, two) = (Pod::new(&harness, &files), Pod::new(&harness, &files));
    assert_eq!(
        (one.uses().await, two.uses().await),
        ("2026-01".into(), "2026-01".into())
    );

    put(one.folder.path(), "2026-02", 0xfe);
    assert_eq!(one.uses().await, "2026-01");
    harness.clock.advance(WAIT / 2);
    put(two.folder.path(), "2026-02", 0xfe);
    assert_eq!(
        (one.uses().await, two.uses().await),
        ("2026-01".into(), "2026-01".into())
    );
    harness.clock.advance(WAIT / 2);
    assert_eq!(
        (one.uses().await, two.uses().await),
        ("2026-02".into(), "2026-02".into())
    );
    // One that starts now knows from the index that the wait is over.
    let late = Pod::new(&harness, &[("2026-01", 0xff), ("2026-02", 0xfe)]);
    assert_eq!(late.uses().await, "2026-02");
    // One that came by a file of the same name with something else in it is told.
    let wrong = Pod::new(&harness, &[("2026-02", 0xfd)]);
    let error = wrong.issuer.publish_keys().await.unwrap_err().to_string();
    assert!(error.contains("another opaque key of the name 2026-02"), "{error}");
}

/// Whoever writes a new key over the old file has made a mistake, and nobody loses a token by it.
#[tokio::test]
async fn another_key_under_the_same_name_is_not_taken_in() {
    let harness = Harness::new();
    harness.application("shop", TokenFormat::Opaque, |_| {}).await;
    harness.user("alice", |_| {}).await;
    let pod = Pod::new(&harness, &[("2026-01", 0xff)]);
    pod.uses().await;
    let issue = async || {
        let issued = pod
            .issuer
            .issue_token(request_for("shop", "alice", "phone-1"))
            .await
            .unwrap();
        issued.access_token.expose_secret().to_owned()
    };
    let token = issue().await;
    put(pod.folder.path(), "2026-01", 0xfe);
    pod.uses().await;
    assert_eq!(issue().await, token);
    // It is not forgotten by looking again, and a right key beside a wrong one is not taken in either.
    put(pod.folder.path(), "2026-02", 0xfd);
    assert_eq!(pod.uses().await, "2026-01");
    put(pod.folder.path(), "2026-01", 0xff);
    pod.uses().await;
    harness.clock.advance(WAIT);
    assert_eq!((pod.uses().await, issue().await), ("2026-02".into(), token));
}

#[tokio::test]
async fn s14_a_refresh_token_of_a_key_that_only_another_issuer_has_is_not_refused_for_good() {
    use crate::grant::{Grant as _, RefreshToken};
    let harness = Harness::new();
    let with_both = Pod::new(&harness, &[("1", 0xff), ("2", 0xfe)]);
    let behind = Pod::new(&harness, &[("1", 0xff)]);
    assert_eq!(with_both.uses().await, "2");
    assert_eq!(behind.uses().await, "1");
    let refreshable = |it: &mut Application| it.grants.push(GrantType::RefreshToken.into());
    harness.application("shop", TokenFormat::Opaque, refreshable).await;
    harness.user("alice", |_| {}).await;
    let issued = with_both.issuer.issue_token(request_for("shop", "alice", "")).await;
    let login = issued.unwrap().refresh_token.unwrap().token;
    let login = login.expose_secret();
    let ask = async |issuer: &Issuer, token: &str| {
        let application = issuer.applications.read("shop").await.unwrap().unwrap();
        let grant = RefreshToken {
            token: token.to_owned().into(),
        };
        grant.authorize(issuer, &application).await
    };
    assert!(matches!(
        ask(&behind.issuer, login).await,
        Err(IssuerError::Unavailable(_))
    ));
    let made_up = tokenbind_index::RefreshToken {
        secret: [7; 32],
        ..tokenbind_index::RefreshToken::decode(login).unwrap()
    };
    assert!(matches!(
        ask(&with_both.issuer, &made_up.encode()).await,
        Err(IssuerError::InvalidGrant)
    ));
    put(behind.folder.path(), "2", 0xfe);
    behind.uses().await;
    assert!(ask(&behind.issuer, login).await.is_ok());
    assert!(ask(&with_both.issuer, login).await.is_ok());
}

#[tokio::test]
async fn signing_keys_are_made_by_the_clock_and_removed_when_they_have_no_more_use() {
    let mut harness = Harness::new();
    let folder = tempfile::tempdir().unwrap();
    let entropy = CountingEntropy::default();
    let day = Duration::from_secs(86_400);
    let timer = RotationTimer::new(folder.path().to_owned(), day);
    timer.begin(harness.clock.as_ref(), &entropy).unwrap();
    timer.begin(harness.clock.as_ref(), &entropy).unwrap();
    harness.issuer.keys = Arc::new(KeyRing::load(folder.path()).unwrap());
    harness.issuer.key_wait = WAIT;
    harness.issuer.rotation = Some(timer);
    // Another issuer of the same directory comes to the same key.
    let other = Issuer {
        keys: Arc::new(KeyRing::load(folder.path()).unwrap()),
        ..harness.issuer.clone()
    };
    harness.issuer.publish_keys().await.unwrap();
    let first = harness.issuer.keys.active().key_id().to_owned();
    let turn = async |by: Duration| {
        harness.clock.advance(by);
        for issuer in [&harness.issuer, &other, &harness.issuer, &other] {
            issuer.keep_keys(Renew::Yes).await.unwrap();
        }
        let files = fs::read_dir(folder.path()).unwrap().count();
        let signs = harness.issuer.keys.active().key_id().to_owned();
        assert_eq!(other.keys.active().key_id(), signs);
        (signs, files)
    };
    assert_eq!(turn(Duration::from_secs(86_099)).await, (first.clone(), 1));
    assert_eq!(turn(Duration::from_secs(1)).await, (first.clone(), 2));
    let (second, files) = turn(WAIT).await;
    assert!(second != first && files == 2);
    assert_eq!(turn(WAIT + Duration::from_secs(3_602)).await, (second.clone(), 1));
    turn(day).await;
    let (third, _) = turn(WAIT).await;
    assert!(third != second && third != first);
    assert!(published(&harness.issuer).await.contains(&second));

    // Where an operator's file would stay the last by name, nothing is made, and what signs goes on.
    fs::write(folder.path().join("z.pem"), generate_pem(&entropy).unwrap().as_bytes()).unwrap();
    turn(Duration::ZERO).await;
    let (fourth, files) = turn(WAIT).await;
    assert_ne!(fourth, third);
    turn(2 * day).await;
    let (signs, left) = turn(WAIT).await;
    assert!(signs == fourth && left <= files);
}
