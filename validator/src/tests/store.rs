//! A store that can be switched off, and counts what is asked of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokenbind_index::memory::MemoryIndex;
use tokenbind_index::{
    Begin, Begun, BindingIndex, Clock, Confirmed, Cursor, Delete, Document, DocumentKind, DocumentStore, Expect,
    FamilyIndex, FamilyLocator, Generation, Grace, Home, IndexError, Issue, Issued, Locator, Page, Put, Refresh,
    Refreshed, Revision, Revoked, Selection, SingleUse, Slot, Stamp, Stamped, TrackedIndex, UseDigest,
};
use tokenbind_proto::index::v1::{RefreshFamilyRecord, TokenRecord};
use tokio::sync::Notify;

pub(super) struct SwitchedStore {
    inner: MemoryIndex,
    down: AtomicBool,
    /// Empty. What counts as told where changes of the other are not.
    untold: MemoryIndex,
    /// Changes are not told, though the store seems to be heard: they are on their way.
    late: AtomicBool,
    clock: Arc<dyn Clock>,
    /// Since when it does not tell what changes, by its clock; 0 where it does.
    silent_since_us: AtomicU64,
    /// It fell silent, or tells again.
    silenced: Notify,
    /// Reads of tokens and documents, and of lists of documents.
    pub(super) reads: AtomicUsize,
    /// Reads of lists of documents alone.
    pub(super) lists: AtomicUsize,
    /// Reads of which changes are told alone.
    tracked: AtomicUsize,
    /// Reads of tokens at this moment of which no changes are told, and the most that there were.
    plain_now: AtomicUsize,
    plain_most: AtomicUsize,
}

impl SwitchedStore {
    pub(super) fn new(inner: MemoryIndex, clock: Arc<dyn Clock>) -> Self {
        Self {
            inner,
            down: AtomicBool::new(false),
            untold: MemoryIndex::new(clock.clone()),
            late: AtomicBool::new(false),
            clock,
            silent_since_us: AtomicU64::new(0),
            silenced: Notify::new(),
            reads: AtomicUsize::new(0),
            lists: AtomicUsize::new(0),
            tracked: AtomicUsize::new(0),
            plain_now: AtomicUsize::new(0),
            plain_most: AtomicUsize::new(0),
        }
    }

    pub(super) fn switch(&self, up: bool) {
        self.down.store(!up, Ordering::SeqCst);
    }

    /// From now on changes are told only when this ends.
    pub(super) fn delay(&self, late: bool) {
        self.late.store(late, Ordering::SeqCst);
    }

    /// Which tells what has changed.
    fn telling(&self) -> &MemoryIndex {
        if self.late.load(Ordering::SeqCst) {
            &self.untold
        } else {
            &self.inner
        }
    }

    pub(super) fn silence(&self, silent: bool) {
        let since_us = if silent { self.clock.monotonic_us() } else { 0 };
        self.silent_since_us.store(since_us, Ordering::SeqCst);
        self.silenced.notify_waiters();
    }

    pub(super) fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }

    pub(super) fn lists(&self) -> usize {
        self.lists.load(Ordering::SeqCst)
    }

    /// Reads of which changes are told.
    pub(super) fn tracked(&self) -> usize {
        self.tracked.load(Ordering::SeqCst)
    }

    /// The most reads of tokens at a time of which no changes are told.
    pub(super) fn most_plain(&self) -> usize {
        self.plain_most.load(Ordering::SeqCst)
    }

    fn inner(&self) -> Result<&MemoryIndex, IndexError> {
        if self.down.load(Ordering::SeqCst) {
            return Err(IndexError::Unavailable("redis://user:password@host is gone".to_owned()));
        }
        Ok(&self.inner)
    }

    fn read_inner(&self) -> Result<&MemoryIndex, IndexError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.inner()
    }
}

#[async_trait]
impl BindingIndex for SwitchedStore {
    async fn issue(&self, issue: Issue) -> Result<Issued, IndexError> {
        self.inner()?.issue(issue).await
    }

    async fn read(&self, locator: &Locator) -> Result<Option<TokenRecord>, IndexError> {
        let now = self.plain_now.fetch_add(1, Ordering::SeqCst) + 1;
        self.plain_most.fetch_max(now, Ordering::SeqCst);
        let read = self.read_inner()?.read(locator).await;
        tokio::task::yield_now().await;
        self.plain_now.fetch_sub(1, Ordering::SeqCst);
        read
    }

    async fn revoke_token(&self, home: Home, slot: Slot, record: &TokenRecord) -> Result<Revoked, IndexError> {
        self.inner()?.revoke_token(home, slot, record).await
    }

    async fn revoke_subject(&self, home: Home, selection: Selection) -> Result<Revoked, IndexError> {
        self.inner()?.revoke_subject(home, selection).await
    }

    async fn list(&self, home: Home, after: Option<Cursor>, limit: usize) -> Result<Page, IndexError> {
        self.inner()?.list(home, after, limit).await
    }

    async fn ping(&self) -> Result<Revision, IndexError> {
        self.inner()?.ping().await
    }
}

#[async_trait]
impl DocumentStore for SwitchedStore {
    async fn document(&self, kind: DocumentKind, id: &str) -> Result<Option<Document>, IndexError> {
        self.read_inner()?.document(kind, id).await
    }

    async fn put_document(
        &self,
        kind: DocumentKind,
        id: &str,
        body: Vec<u8>,
        expect: Expect,
    ) -> Result<Put, IndexError> {
        self.inner()?.put_document(kind, id, body, expect).await
    }

    async fn delete_document(
        &self,
        kind: DocumentKind,
        id: &str,
        expect: Expect,
        remember_ms: u64,
    ) -> Result<Delete, IndexError> {
        self.inner()?.delete_document(kind, id, expect, remember_ms).await
    }

    async fn documents(
        &self,
        kind: DocumentKind,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Document)>, IndexError> {
        self.lists.fetch_add(1, Ordering::SeqCst);
        self.read_inner()?.documents(kind, after, limit).await
    }

    async fn raise_generation(
        &self,
        kind: DocumentKind,
        id: &str,
    ) -> Result<Option<(Generation, Revision)>, IndexError> {
        self.inner()?.raise_generation(kind, id).await
    }
}

#[async_trait]
impl TrackedIndex for SwitchedStore {
    async fn read_tracked(&self, locator: &Locator) -> Result<Stamped<Option<TokenRecord>>, IndexError> {
        self.tracked.fetch_add(1, Ordering::SeqCst);
        let stamp = self.telling().read_tracked(locator).await?.stamp;
        let value = self.read_inner()?.read(locator).await?;
        // As a real answer would be waited for: others run meanwhile.
        tokio::task::yield_now().await;
        Ok(Stamped { value, stamp })
    }

    async fn document_tracked(&self, kind: DocumentKind, id: &str) -> Result<Stamped<Option<Document>>, IndexError> {
        self.tracked.fetch_add(1, Ordering::SeqCst);
        let stamp = self.telling().document_tracked(kind, id).await?.stamp;
        let value = self.read_inner()?.document(kind, id).await?;
        tokio::task::yield_now().await;
        Ok(Stamped { value, stamp })
    }

    fn is_current(&self, stamp: &Stamp) -> bool {
        self.telling().is_current(stamp)
    }

    fn confirmed(&self) -> Option<Confirmed> {
        let silent = self.silent_since_us.load(Ordering::SeqCst) != 0;
        self.inner.confirmed().filter(|_| !silent)
    }

    async fn confirm(&self) -> Result<Confirmed, IndexError> {
        let silent = || IndexError::Unavailable("silent".to_owned());
        let late = self.late.load(Ordering::SeqCst);
        self.confirmed().filter(|_| !late).ok_or_else(silent)
    }

    fn last_known(&self, stamp: &Stamp) -> Option<Confirmed> {
        let known = self.telling().last_known(stamp)?;
        let age_us = match self.silent_since_us.load(Ordering::SeqCst) {
            0 => known.age_us,
            since_us => self.clock.monotonic_us() - since_us,
        };
        Some(Confirmed { age_us, ..known })
    }

    async fn changed(&self, stamp: &Stamp) {
        let mut silenced = std::pin::pin!(self.silenced.notified());
        silenced.as_mut().enable();
        if self.confirmed().is_some() {
            tokio::select! {
                () = self.telling().changed(stamp) => {}
                () = silenced => {}
            }
        }
    }

    fn learned_token(&self, locator: &Locator) {
        self.telling().learned_token(locator);
    }

    fn learned_document(&self, kind: DocumentKind, id: &str) {
        self.telling().learned_document(kind, id);
    }
}

#[async_trait]
impl FamilyIndex for SwitchedStore {
    async fn begin_family(&self, issue: Issue, begin: Begin) -> Result<Begun, IndexError> {
        self.inner()?.begin_family(issue, begin).await
    }

    async fn read_family(&self, family: &FamilyLocator) -> Result<Option<RefreshFamilyRecord>, IndexError> {
        self.inner()?.read_family(family).await
    }

    async fn refresh(&self, issue: Issue, refresh: Refresh) -> Result<Refreshed, IndexError> {
        self.inner()?.refresh(issue, refresh).await
    }

    async fn end_family(&self, family: &FamilyLocator) -> Result<Revoked, IndexError> {
        self.inner()?.end_family(family).await
    }

    async fn end_reused(
        &self,
        family: &FamilyLocator,
        presented: u32,
        grace: Grace,
    ) -> Result<Option<Revoked>, IndexError> {
        self.inner()?.end_reused(family, presented, grace).await
    }
}

#[async_trait]
impl SingleUse for SwitchedStore {
    async fn consume(&self, what: UseDigest, remember: Duration) -> Result<bool, IndexError> {
        self.inner()?.consume(what, remember).await
    }
}
