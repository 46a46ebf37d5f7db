use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokenbind_index::memory::MemoryIndex;
use tokenbind_index::{
    Begin, Begun, BindingIndex, Cursor, Delete, Document, DocumentKind, DocumentStore, Expect, FamilyIndex,
    FamilyLocator, Generation, Grace, Home, IndexError, Issue, Issued, Locator, Page, Put, Refresh, Refreshed,
    Revision, Revoked, Selection, SingleUse, Slot, TokenReference, UseDigest,
};
use tokenbind_proto::index::v1::{RefreshFamilyRecord, TokenRecord};
use tokenbind_proto::v1::TokenFormat;
use tonic::async_trait;

use crate::error::IssuerError;
use crate::opaque::OpaqueKeys;
use crate::test_support::{Harness, request, request_for, text};

/// What happens at the moment of writing a token.
enum At {
    /// The store does not answer.
    IssueFails,
    /// Somebody revokes the application and has a token issued since; as often as the number says.
    Revoked(AtomicUsize),
    /// Somebody changes the user, and has not come to revoke yet.
    UserChanges,
    /// The token that is being exchanged is revoked.
    SubjectTokenDies(TokenReference),
}

/// The embedded store, but for one moment.
struct Faulty {
    inner: MemoryIndex,
    at: At,
}

impl Faulty {
    async fn happen(&self, issue: &Issue) -> Result<(), IndexError> {
        match &self.at {
            At::IssueFails => return Err(IndexError::Unavailable("injected".to_owned())),
            At::Revoked(times) => {
                let left = times.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
                if left.is_ok() {
                    let raised = self.inner.raise_generation(DocumentKind::Application, "shop").await?;
                    let mut newer = issue.clone();
                    newer.record.generation = raised.unwrap().0;
                    self.inner.issue(newer).await?;
                }
            }
            At::SubjectTokenDies(reference) => {
                let locator = &reference.locator;
                if let Some(record) = self.inner.read(locator).await? {
                    self.inner.revoke_token(locator.home, locator.slot, &record).await?;
                }
            }
            At::UserChanges => {
                let user = self.inner.document(DocumentKind::User, "alice").await?.unwrap();
                self.inner
                    .put_document(DocumentKind::User, "alice", user.body, Expect::Any)
                    .await?;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl BindingIndex for Faulty {
    async fn issue(&self, issue: Issue) -> Result<Issued, IndexError> {
        self.happen(&issue).await?;
        self.inner.issue(issue).await
    }
    async fn read(&self, locator: &Locator) -> Result<Option<TokenRecord>, IndexError> {
        self.inner.read(locator).await
    }
    async fn revoke_token(&self, home: Home, slot: Slot, record: &TokenRecord) -> Result<Revoked, IndexError> {
        self.inner.revoke_token(home, slot, record).await
    }
    async fn revoke_subject(&self, home: Home, selection: Selection) -> Result<Revoked, IndexError> {
        self.inner.revoke_subject(home, selection).await
    }
    async fn list(&self, home: Home, after: Option<Cursor>, limit: usize) -> Result<Page, IndexError> {
        self.inner.list(home, after, limit).await
    }
    async fn ping(&self) -> Result<Revision, IndexError> {
        self.inner.ping().await
    }
}

#[async_trait]
impl DocumentStore for Faulty {
    async fn document(&self, kind: DocumentKind, id: &str) -> Result<Option<Document>, IndexError> {
        self.inner.document(kind, id).await
    }
    async fn put_document(
        &self,
        kind: DocumentKind,
        id: &str,
        body: Vec<u8>,
        expect: Expect,
    ) -> Result<Put, IndexError> {
        self.inner.put_document(kind, id, body, expect).await
    }
    async fn delete_document(
        &self,
        kind: DocumentKind,
        id: &str,
        expect: Expect,
        ms: u64,
    ) -> Result<Delete, IndexError> {
        self.inner.delete_document(kind, id, expect, ms).await
    }
    async fn documents(
        &self,
        kind: DocumentKind,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Document)>, IndexError> {
        self.inner.documents(kind, after, limit).await
    }
    async fn raise_generation(
        &self,
        kind: DocumentKind,
        id: &str,
    ) -> Result<Option<(Generation, Revision)>, IndexError> {
        self.inner.raise_generation(kind, id).await
    }
}

#[async_trait]
impl FamilyIndex for Faulty {
    async fn begin_family(&self, issue: Issue, begin: Begin) -> Result<Begun, IndexError> {
        self.happen(&issue).await?;
        self.inner.begin_family(issue, begin).await
    }

    async fn read_family(&self, family: &FamilyLocator) -> Result<Option<RefreshFamilyRecord>, IndexError> {
        self.inner.read_family(family).await
    }

    async fn refresh(&self, issue: Issue, refresh: Refresh) -> Result<Refreshed, IndexError> {
        self.happen(&issue).await?;
        self.inner.refresh(issue, refresh).await
    }

    async fn end_family(&self, family: &FamilyLocator) -> Result<Revoked, IndexError> {
        self.inner.end_family(family).await
    }

    async fn end_reused(
        &self,
        family: &FamilyLocator,
        presented: u32,
        grace: Grace,
    ) -> Result<Option<Revoked>, IndexError> {
        self.inner.end_reused(family, presented, grace).await
    }
}

#[async_trait]
impl SingleUse for Faulty {
    async fn consume(&self, what: UseDigest, remember: Duration) -> Result<bool, IndexError> {
        self.inner.consume(what, remember).await
    }
}

pub(super) fn dying(harness: &Harness, token: &str) -> crate::Issuer {
    faulty(harness, At::SubjectTokenDies(TokenReference::parse(token).unwrap()))
}

fn faulty(harness: &Harness, at: At) -> crate::Issuer {
    harness.over(Arc::new(Faulty {
        inner: harness.memory.clone(),
        at,
    }))
}

#[tokio::test]
async fn case_2_a_failure_leaves_the_old_token_live() {
    for format in [TokenFormat::Jwt, TokenFormat::Opaque] {
        let harness = Harness::new();
        harness.application("shop", format, |_| {}).await;
        let old = harness.token("shop", "X").await;
        let error = faulty(&harness, At::IssueFails)
            .issue_token(request("shop", "X"))
            .await
            .unwrap_err();
        assert_eq!(error.reason(), "temporarily_unavailable");
        assert!(harness.accepted(text(&old)).await);
    }
}

#[tokio::test]
async fn r4_a_revocation_during_a_request_is_followed() {
    for format in [TokenFormat::Jwt, TokenFormat::Opaque] {
        let harness = Harness::new();
        harness.application("shop", format, |_| {}).await;
        let old = harness.token("shop", "X").await;
        let issuer = faulty(&harness, At::Revoked(AtomicUsize::new(1)));
        let outcome = issuer.issue_token(request("shop", "X")).await;
        assert!(!harness.accepted(text(&old)).await);
        let token = outcome.unwrap();
        assert!(harness.accepted(text(&token)).await);

        let issuer = faulty(&harness, At::Revoked(AtomicUsize::new(usize::MAX)));
        let error = issuer.issue_token(request("shop", "X")).await.unwrap_err();
        assert_eq!(error.reason(), "temporarily_unavailable");
    }
}

#[tokio::test]
async fn a_token_for_a_user_who_was_changed_meanwhile_is_void() {
    let harness = Harness::new();
    harness.application("shop", TokenFormat::Jwt, |_| {}).await;
    harness.user("alice", |_| {}).await;
    let issuer = faulty(&harness, At::UserChanges);
    let error = issuer.issue_token(request_for("shop", "alice", "X")).await.unwrap_err();
    assert!(matches!(error, IssuerError::Unavailable(_)));
    let home = tokenbind_index::Subject::User("alice".to_owned()).home();
    assert!(harness.memory.list(home, None, 10).await.unwrap().tokens.is_empty());
    harness
        .issuer
        .issue_token(request_for("shop", "alice", "X"))
        .await
        .unwrap();
}

#[tokio::test]
async fn an_opaque_token_whose_key_is_gone_is_replaced() {
    let harness = Harness::new();
    harness.application("shop", TokenFormat::Opaque, |_| {}).await;
    let old = harness.token("shop", "X").await;
    let mut other = harness.issuer.clone();
    other.opaque_keys = Arc::new(OpaqueKeys::generate(other.entropy.as_ref()));
    let new = other.issue_token(request("shop", "X")).await.unwrap();
    assert!(!new.reused && new.superseded && new.expires_in == 3_600);
    assert!(harness.live(text(&old)).await.is_none() && harness.live(text(&new)).await.is_some());
    assert_eq!(
        text(&other.issue_token(request("shop", "X")).await.unwrap()),
        text(&new)
    );
}
