//! What is declared, as the store keeps it.

use prost::Message;
use tokenbind_index::{DocumentKind, DocumentStore, Expect, Put, Revision};
use tokenbind_proto::index::v1::{ApplicationRecord, ResourceRecord, UserRecord};
use tokenbind_proto::v1::Source;

use crate::error::IssuerError;

/// A kind of declared record.
pub(crate) trait Declared: Message + Default + Clone + PartialEq {
    /// Under which the store keeps it.
    const KIND: DocumentKind;
    /// What errors call it.
    const NAME: &'static str;

    /// Where it comes from.
    fn source(&self) -> Source;
}

impl Declared for ApplicationRecord {
    const KIND: DocumentKind = DocumentKind::Application;
    const NAME: &'static str = "application";

    fn source(&self) -> Source {
        self.application
            .as_ref()
            .map_or(Source::Unspecified, tokenbind_proto::v1::Application::source)
    }
}

impl Declared for UserRecord {
    const KIND: DocumentKind = DocumentKind::User;
    const NAME: &'static str = "user";

    fn source(&self) -> Source {
        self.user
            .as_ref()
            .map_or(Source::Unspecified, tokenbind_proto::v1::User::source)
    }
}

impl Declared for ResourceRecord {
    const KIND: DocumentKind = DocumentKind::Resource;
    const NAME: &'static str = "resource";

    fn source(&self) -> Source {
        self.resource
            .as_ref()
            .map_or(Source::Unspecified, tokenbind_proto::v1::Resource::source)
    }
}

/// A record and the version that was read.
#[derive(Clone, Debug)]
pub(crate) struct Stored<R> {
    pub(crate) record: R,
    pub(crate) version: Revision,
}

/// Reads a record; `None` where there is none.
pub(crate) async fn find<R: Declared>(store: &dyn DocumentStore, id: &str) -> Result<Option<Stored<R>>, IssuerError> {
    let Some(document) = store.document(R::KIND, id).await? else {
        return Ok(None);
    };
    Ok(Some(Stored {
        record: decode(&document.body)?,
        version: document.version,
    }))
}

/// Reads a record that must be there.
pub(crate) async fn get<R: Declared>(store: &dyn DocumentStore, id: &str) -> Result<Stored<R>, IssuerError> {
    find(store, id).await?.ok_or(IssuerError::NotFound(R::NAME))
}

/// Reads a record that must be there and that the API may change.
pub(crate) async fn get_own<R: Declared>(store: &dyn DocumentStore, id: &str) -> Result<Stored<R>, IssuerError> {
    let stored: Stored<R> = get(store, id).await?;
    match stored.record.source() {
        Source::Catalog => Err(IssuerError::DeclaredInCatalog(R::NAME)),
        Source::Api | Source::Unspecified => Ok(stored),
    }
}

/// Stores a record, if what is stored is what was expected; answers its version.
pub(crate) async fn put<R: Declared>(
    store: &dyn DocumentStore,
    id: &str,
    record: &R,
    expect: Expect,
) -> Result<Option<Revision>, IssuerError> {
    match store.put_document(R::KIND, id, record.encode_to_vec(), expect).await? {
        Put::Stored { version, .. } => Ok(Some(version)),
        Put::Conflict => Ok(None),
    }
}

/// Records by id, at most `limit`, those after the id `after`.
pub(crate) async fn list<R: Declared>(
    store: &dyn DocumentStore,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<(String, Stored<R>)>, IssuerError> {
    let documents = store.documents(R::KIND, after, limit).await?;
    let decode = |(id, document): (String, tokenbind_index::Document)| {
        Ok((
            id,
            Stored {
                record: decode(&document.body)?,
                version: document.version,
            },
        ))
    };
    documents.into_iter().map(decode).collect()
}

fn decode<R: Declared>(body: &[u8]) -> Result<R, IssuerError> {
    R::decode(body)
        .map_err(|error| IssuerError::Internal(format!("the record of the {} cannot be read: {error}", R::NAME)))
}
