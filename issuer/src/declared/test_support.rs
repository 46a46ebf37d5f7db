//! A store that fails when a test tells it to, and a token to see die.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokenbind_index::memory::MemoryIndex;
use tokenbind_index::{
    Begin, Begun, BindingIndex, BindingTag, Clock, Cursor, Delete, Document, DocumentKind, DocumentStore, Expect,
    FamilyIndex, FamilyLocator, Generation, Grace, Home, IndexError, Issue, IssuePolicy, Issued, Locator, Nonce, Page,
    Put, Refresh, Refreshed, Revision, Revoked, Selection, SingleUse, Slot, Subject, UseDigest,
};
use tokenbind_proto::index::v1::{RefreshFamilyRecord, TokenRecord};

/// The embedded store, with faults.
pub(crate) struct FaultyStore {
    inner: MemoryIndex,
    /// Revocations fail.
    pub(crate) no_revocation: AtomicBool,
    /// Lists of documents cannot be read.
    pub(crate) no_lists: AtomicBool,
    /// So many puts find that somebody else was there first.
    pub(crate) conflicts: AtomicU32,
    /// How many documents were stored.
    pub(crate) puts: AtomicU32,
}

impl FaultyStore {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            inner: MemoryIndex::new(clock),
            no_revocation: AtomicBool::new(false),
            no_lists: AtomicBool::new(false),
            conflicts: AtomicU32::new(0),
            puts: AtomicU32::new(0),
        }
    }

    /// Gives a user a live token.
    pub(crate) async fn issue_to(&self, username: &str) {
        let record = TokenRecord {
            generation: 1,
            digest: vec![7; 32],
            lifetime_ms: 3_600_000,
            ..TokenRecord::default()
        };
        let (slot, policy) = (Slot([1; 16]), IssuePolicy::Replace);
        let issued = self
            .issue(Issue {
                home: home(username),
                slot,
                record,
                binding: BindingTag::UNBOUND,
                policy,
                limit: None,
            })
            .await
            .unwrap();
        assert!(matches!(issued, Issued::New { .. }), "{issued:?}");
    }

    /// Whether that token is live.
    pub(crate) async fn is_live(&self, username: &str) -> bool {
        let locator = Locator {
            home: home(username),
            slot: Slot([1; 16]),
            nonce: Nonce([0; 16]),
        };
        self.read(&locator).await.unwrap().is_some()
    }
}

fn home(username: &str) -> Home {
    Subject::User(username.to_owned()).home()
}

#[async_trait]
impl BindingIndex for FaultyStore {
    async fn issue(&self, issue: Issue) -> Result<Issued, IndexError> {
        self.inner.issue(issue).await
    }

    async fn read(&self, locator: &Locator) -> Result<Option<TokenRecord>, IndexError> {
        self.inner.read(locator).await
    }

    async fn revoke_token(&self, home: Home, slot: Slot, record: &TokenRecord) -> Result<Revoked, IndexError> {
        self.inner.revoke_token(home, slot, record).await
    }

    async fn revoke_subject(&self, home: Home, selection: Selection) -> Result<Revoked, IndexError> {
        if self.no_revocation.load(Ordering::SeqCst) {
            return Err(IndexError::Unavailable("as the test wants it".to_owned()));
        }
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
impl DocumentStore for FaultyStore {
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
        let fault = self
            .conflicts
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if fault.is_ok() {
            return Ok(Put::Conflict);
        }
        self.puts.fetch_add(1, Ordering::SeqCst);
        self.inner.put_document(kind, id, body, expect).await
    }

    async fn delete_document(
        &self,
        kind: DocumentKind,
        id: &str,
        expect: Expect,
        remember_ms: u64,
    ) -> Result<Delete, IndexError> {
        self.inner.delete_document(kind, id, expect, remember_ms).await
    }

    async fn documents(
        &self,
        kind: DocumentKind,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Document)>, IndexError> {
        if self.no_lists.load(Ordering::SeqCst) {
            return Err(IndexError::Unavailable("as the test wants it".to_owned()));
        }
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
impl FamilyIndex for FaultyStore {
    async fn begin_family(&self, issue: Issue, begin: Begin) -> Result<Begun, IndexError> {
        self.inner.begin_family(issue, begin).await
    }

    async fn read_family(&self, family: &FamilyLocator) -> Result<Option<RefreshFamilyRecord>, IndexError> {
        self.inner.read_family(family).await
    }

    async fn refresh(&self, issue: Issue, refresh: Refresh) -> Result<Refreshed, IndexError> {
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
impl SingleUse for FaultyStore {
    async fn consume(&self, what: UseDigest, remember: Duration) -> Result<bool, IndexError> {
        self.inner.consume(what, remember).await
    }
}
