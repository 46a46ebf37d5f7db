//! The trait that holds what is declared: applications, users, resources and public keys.

use async_trait::async_trait;

use crate::error::IndexError;
use crate::store::Revision;

/// What a document is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DocumentKind {
    /// `ApplicationRecord`, by `client_id`.
    Application,
    /// `UserRecord`, by username.
    User,
    /// `ResourceRecord`, by `resource_id`.
    Resource,
    /// `SigningKeyRecord`, by `kid`.
    SigningKey,
    /// `OpaqueKeyRecord`, by the name of the key.
    OpaqueKey,
}

impl DocumentKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Application,
        Self::User,
        Self::Resource,
        Self::SigningKey,
        Self::OpaqueKey,
    ];
}

/// Tells apart what was issued under a document before and after everything issued under it was revoked. A token remembers
/// the generation that it was issued in, so raising it revokes every token of an application at once (R4), and no two clocks
/// are compared.
///
/// A document begins with the seconds since 1970 by the store's clock, and each raise goes up by one or to the seconds of
/// that moment, whichever is more. So one that the store lost and that is made again begins later than anything that was
/// issued under the lost one: what was revoked stays dead.
pub type Generation = u32;

/// A stored document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The encoded record.
    pub body: Vec<u8>,
    /// Changes with each put.
    pub version: Revision,
    /// See [`Generation`].
    pub generation: Generation,
}

/// What must be stored for a write to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// No such document.
    Absent,
    /// This version of it.
    Version(Revision),
    /// Whatever there is.
    Any,
}

/// What became of a put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is stored.
    Stored {
        /// Its version.
        version: Revision,
        /// Unchanged by a put.
        generation: Generation,
    },
    /// Something else is stored than was expected; nothing was changed.
    Conflict,
}

/// What became of a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delete {
    /// It is gone.
    Deleted,
    /// There was none.
    Absent,
    /// Another version is stored than was expected; nothing was changed.
    Conflict,
}

/// What is not there though it should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LostDocuments {
    /// Their ids.
    pub ids: Vec<String>,
    /// After which id to go on; `None` at the end.
    pub next: Option<String>,
}

/// Holds documents. Each method is one atomic step; they do not expire.
#[async_trait]
pub trait DocumentStore: Send + Sync + 'static {
    /// A document, if there is one.
    async fn document(&self, kind: DocumentKind, id: &str) -> Result<Option<Document>, IndexError>;

    /// Stores a document.
    async fn put_document(
        &self,
        kind: DocumentKind,
        id: &str,
        body: Vec<u8>,
        expect: Expect,
    ) -> Result<Put, IndexError>;

    /// Deletes a document. Its generation is raised and remembered for `remember_ms`, so that one of the same id that is
    /// made within that time does not revive what was issued under this one.
    async fn delete_document(
        &self,
        kind: DocumentKind,
        id: &str,
        expect: Expect,
        remember_ms: u64,
    ) -> Result<Delete, IndexError>;

    /// Documents by id in the order of bytes, at most `limit`, those after the id `after`. Not one atomic step.
    async fn documents(
        &self,
        kind: DocumentKind,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Document)>, IndexError>;

    /// Looks at `limit` ids, as [`Self::documents`] does, for documents that the store has lost although nobody deleted them. Not one
    /// atomic step: one that is being deleted at the moment looks lost. A store that keeps what it was given has none.
    async fn lost_documents(
        &self,
        _kind: DocumentKind,
        _after: Option<&str>,
        _limit: usize,
    ) -> Result<LostDocuments, IndexError> {
        Ok(LostDocuments::default())
    }

    /// Raises a document's generation; `None` if there is no such document.
    async fn raise_generation(
        &self,
        kind: DocumentKind,
        id: &str,
    ) -> Result<Option<(Generation, Revision)>, IndexError>;
}
