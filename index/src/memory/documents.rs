//! The documents in memory.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;

use super::MemoryIndex;
use crate::document::{Delete, Document, DocumentKind, DocumentStore, Expect, Generation, Put};
use crate::error::IndexError;
use crate::store::Revision;
use crate::tracking::Changes;

pub(super) struct Documents {
    changes: Arc<Changes>,
    stored: BTreeMap<(DocumentKind, String), Document>,
    /// The generations of deleted documents, and until when they are remembered, in milliseconds.
    deleted: BTreeMap<(DocumentKind, String), (Generation, u64)>,
}

/// What changes of a document are told under.
pub(super) fn key(kind: DocumentKind, id: &str) -> Vec<u8> {
    format!("{kind:?} {id}").into_bytes()
}

impl Documents {
    pub(super) fn new(changes: Arc<Changes>) -> Self {
        Self {
            changes,
            stored: BTreeMap::new(),
            deleted: BTreeMap::new(),
        }
    }

    fn tell(&self, kind: DocumentKind, id: &str) {
        self.changes.tell(&key(kind, id));
    }
}

/// Seconds since 1970; see [`Generation`].
fn generation_at(now_ms: u64) -> Generation {
    Generation::try_from(now_ms / 1_000).unwrap_or(Generation::MAX)
}

fn raised(generation: Generation, now_ms: u64) -> Generation {
    generation_at(now_ms).max(generation.saturating_add(1))
}

fn is_expected(stored: Option<&Document>, expect: Expect) -> bool {
    match expect {
        Expect::Any => true,
        Expect::Absent => stored.is_none(),
        Expect::Version(version) => stored.is_some_and(|document| document.version == version),
    }
}

#[async_trait]
impl DocumentStore for MemoryIndex {
    async fn document(&self, kind: DocumentKind, id: &str) -> Result<Option<Document>, IndexError> {
        Ok(self.lock().documents.stored.get(&(kind, id.to_owned())).cloned())
    }

    async fn put_document(
        &self,
        kind: DocumentKind,
        id: &str,
        body: Vec<u8>,
        expect: Expect,
    ) -> Result<Put, IndexError> {
        let now_ms = self.clock.now_us() / 1_000;
        let mut state = self.lock();
        let key = (kind, id.to_owned());
        state.documents.deleted.retain(|_, (_, until_ms)| *until_ms > now_ms);
        let stored = state.documents.stored.get(&key);
        if !is_expected(stored, expect) {
            return Ok(Put::Conflict);
        }
        let deleted = state.documents.deleted.get(&key).map(|(generation, _)| *generation);
        let generation = stored
            .map(|document| document.generation)
            .or(deleted)
            .unwrap_or_else(|| generation_at(now_ms));
        let version = self.write_at(&mut state);
        state.documents.deleted.remove(&key);
        state.documents.stored.insert(
            key,
            Document {
                body,
                version,
                generation,
            },
        );
        state.documents.tell(kind, id);
        Ok(Put::Stored { version, generation })
    }

    async fn delete_document(
        &self,
        kind: DocumentKind,
        id: &str,
        expect: Expect,
        remember_ms: u64,
    ) -> Result<Delete, IndexError> {
        let now_ms = self.clock.now_us() / 1_000;
        let mut state = self.lock();
        let key = (kind, id.to_owned());
        let Some(stored) = state.documents.stored.get(&key) else {
            return Ok(Delete::Absent);
        };
        if !is_expected(Some(stored), expect) {
            return Ok(Delete::Conflict);
        }
        let generation = raised(stored.generation, now_ms);
        state.documents.stored.remove(&key);
        state.documents.deleted.insert(key, (generation, now_ms + remember_ms));
        state.documents.tell(kind, id);
        Ok(Delete::Deleted)
    }

    async fn documents(
        &self,
        kind: DocumentKind,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Document)>, IndexError> {
        let state = self.lock();
        let from = after.map_or(Bound::Included((kind, String::new())), |id| {
            Bound::Excluded((kind, id.to_owned()))
        });
        let of_kind = state
            .documents
            .stored
            .range((from, Bound::Unbounded))
            .take_while(|((found, _), _)| *found == kind);
        Ok(of_kind
            .take(limit)
            .map(|((_, id), document)| (id.clone(), document.clone()))
            .collect())
    }

    async fn raise_generation(
        &self,
        kind: DocumentKind,
        id: &str,
    ) -> Result<Option<(Generation, Revision)>, IndexError> {
        let now_ms = self.clock.now_us() / 1_000;
        let mut state = self.lock();
        let revision = self.write_at(&mut state);
        state.documents.tell(kind, id);
        let document = state.documents.stored.get_mut(&(kind, id.to_owned()));
        Ok(document.map(|document| {
            document.generation = raised(document.generation, now_ms);
            (document.generation, revision)
        }))
    }
}
