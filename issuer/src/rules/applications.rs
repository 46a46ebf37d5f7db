//! What a kept application may still do, and what it may not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokenbind_index::memory::MemoryIndex;
use tokenbind_index::{
    Confirmed, Document, DocumentKind, IndexError, Locator, SecretHash, Stamp, Stamped, TrackedIndex,
};
use tokenbind_proto::index::v1::{ApplicationRecord, SecretDigest, TokenRecord};
use tokenbind_proto::v1::{Application, TokenFormat};
use tonic::async_trait;

use crate::admin::Administration;
use crate::applications::Applications;
use crate::client::Proof;
use crate::context::Issuer;
use crate::declared::documents;
use crate::error::IssuerError;
use crate::test_support::{Harness, request};

/// The embedded store's word of changes, late.
struct Late {
    inner: MemoryIndex,
    told: AtomicBool,
    heard: AtomicBool,
    reads: AtomicUsize,
}

#[async_trait]
impl TrackedIndex for Late {
    async fn read_tracked(&self, locator: &Locator) -> Result<Stamped<Option<TokenRecord>>, IndexError> {
        self.inner.read_tracked(locator).await
    }

    async fn document_tracked(&self, kind: DocumentKind, id: &str) -> Result<Stamped<Option<Document>>, IndexError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.inner.document_tracked(kind, id).await
    }

    fn is_current(&self, stamp: &Stamp) -> bool {
        !self.told.load(Ordering::SeqCst) || self.inner.is_current(stamp)
    }

    fn confirmed(&self) -> Option<Confirmed> {
        self.inner.confirmed().filter(|_| self.heard.load(Ordering::SeqCst))
    }

    async fn confirm(&self) -> Result<Confirmed, IndexError> {
        let silent = || IndexError::Unavailable("silent".to_owned());
        self.confirmed().ok_or_else(silent)
    }

    fn last_known(&self, stamp: &Stamp) -> Option<Confirmed> {
        self.inner.last_known(stamp)
    }

    async fn changed(&self, stamp: &Stamp) {
        self.inner.changed(stamp).await;
    }

    fn learned_token(&self, locator: &Locator) {
        self.inner.learned_token(locator);
    }

    fn learned_document(&self, kind: DocumentKind, id: &str) {
        self.inner.learned_document(kind, id);
    }
}

struct Bench {
    harness: Harness,
    issuer: Issuer,
    late: Arc<Late>,
}

/// An issuer that keeps the application `shop`, and is told of no change.
async fn bench() -> Bench {
    let harness = Harness::new();
    harness.application("shop", TokenFormat::Jwt, |_| {}).await;
    let late = Arc::new(Late {
        inner: harness.memory.clone(),
        told: AtomicBool::new(false),
        heard: AtomicBool::new(true),
        reads: AtomicUsize::new(0),
    });
    let tracking = Arc::clone(&late) as Arc<dyn TrackedIndex>;
    let store = Arc::clone(&harness.issuer.store);
    let issuer = Issuer {
        applications: Arc::new(Applications::new(store, Some(tracking))),
        ..harness.issuer.clone()
    };
    let bench = Bench { harness, issuer, late };
    bench.ask().await.unwrap();
    bench
}

impl Bench {
    async fn ask(&self) -> Result<(), IssuerError> {
        self.issuer.issue_token(request("shop", "")).await.map(drop)
    }

    async fn ask_with(&self, secret: &str) -> Result<(), IssuerError> {
        let mut request = request("shop", "");
        request.client.as_mut().unwrap().proof = Proof::Secret(secret.into());
        self.issuer.issue_token(request).await.map(drop)
    }

    /// Another issuer gives the application another secret, and takes the one that it had.
    async fn replace_secret(&self, secret: &str) {
        let stored = documents::get::<ApplicationRecord>(&self.harness.memory, "shop").await;
        let mut record = stored.unwrap().record;
        record.secrets = vec![SecretDigest {
            sha256: SecretHash::of(secret).as_bytes().to_vec(),
            expires_at: 0,
        }];
        self.harness.record(&record).await;
    }
}

#[tokio::test]
async fn it_is_read_once() {
    let bench = bench().await;
    for _ in 0..3 {
        bench.ask().await.unwrap();
    }
    assert_eq!(bench.late.reads.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_change_counts_when_it_is_told() {
    let bench = bench().await;
    bench
        .harness
        .application("shop", TokenFormat::Jwt, |it| it.disabled = true)
        .await;
    bench.ask().await.unwrap();
    bench.late.told.store(true, Ordering::SeqCst);
    assert_eq!(bench.ask().await, Err(IssuerError::InvalidClient));
    bench.harness.application("shop", TokenFormat::Jwt, |_| {}).await;
    bench.ask().await.unwrap();
}

#[tokio::test]
async fn a_change_counts_when_the_index_is_not_heard() {
    let bench = bench().await;
    bench
        .harness
        .application("shop", TokenFormat::Jwt, |it| it.disabled = true)
        .await;
    bench.late.heard.store(false, Ordering::SeqCst);
    assert_eq!(bench.ask().await, Err(IssuerError::InvalidClient));
}

#[tokio::test]
async fn a_new_secret_is_good_before_it_is_told() {
    let bench = bench().await;
    assert_eq!(bench.ask_with("another secret").await, Err(IssuerError::InvalidClient));
    bench.replace_secret("another secret").await;
    bench.ask().await.unwrap();
    bench.ask_with("another secret").await.unwrap();
    assert_eq!(
        bench.ask().await,
        Err(IssuerError::InvalidClient),
        "the new secret brought the news"
    );
}

/// What an administrator did here counts with the next request.
#[tokio::test]
async fn a_change_that_was_made_here_counts_at_once() {
    let bench = bench().await;
    let admin = Administration::of(&bench.issuer);
    let disabled = |disabled| Application {
        client_id: "shop".to_owned(),
        disabled,
        ..Application::default()
    };
    let paths = ["disabled".to_owned()];
    admin.update_application(Some(disabled(true)), &paths).await.unwrap();
    assert_eq!(bench.ask().await, Err(IssuerError::InvalidClient));
    admin.update_application(Some(disabled(false)), &paths).await.unwrap();
    bench.ask().await.unwrap();
    admin.rotate_application_secret("shop", 0).await.unwrap();
    assert_eq!(bench.ask().await, Err(IssuerError::InvalidClient));
}

/// R4: what a stale issuer still writes is of the generation that was revoked.
#[tokio::test]
async fn r4_a_token_of_a_kept_application_is_of_its_generation() {
    let bench = bench().await;
    let before = bench.harness.issuer.applications.read("shop").await.unwrap().unwrap();
    let kind = DocumentKind::Application;
    let raised = tokenbind_index::DocumentStore::raise_generation(&bench.harness.memory, kind, "shop").await;
    let (generation, _) = raised.unwrap().unwrap();
    assert!(generation > before.generation);
    let token = bench.issuer.issue_token(request("shop", "")).await.unwrap();
    let record = bench.harness.live(crate::test_support::text(&token)).await.unwrap();
    assert_eq!(record.generation, before.generation, "dead on arrival");
}
