//! The documents in Redis.

use async_trait::async_trait;
use redis::aio::ConnectionLike;

use super::{RedisIndex, corrupt, index_error};
use crate::document::{Delete, Document, DocumentKind, DocumentStore, Expect, Generation, Put};
use crate::error::IndexError;
use crate::store::Revision;

type Fields = (Option<Vec<u8>>, Option<Revision>, Option<Generation>);

fn document((body, version, generation): Fields) -> Option<Document> {
    Some(Document {
        body: body?,
        version: version?,
        generation: generation?,
    })
}

/// Reads the document of a key, on whichever connection.
pub(super) async fn read_document(
    connection: &mut impl ConnectionLike,
    key: Vec<u8>,
) -> Result<Option<Document>, IndexError> {
    let fields: Fields = redis::cmd("HMGET")
        .arg(key)
        .arg(&["d", "v", "g"])
        .query_async(connection)
        .await
        .map_err(|error| index_error(&error))?;
    Ok(document(fields))
}

fn expected(expect: Expect) -> String {
    match expect {
        Expect::Any => "any".to_owned(),
        Expect::Absent => "absent".to_owned(),
        Expect::Version(version) => version.to_string(),
    }
}

#[async_trait]
impl DocumentStore for RedisIndex {
    async fn document(&self, kind: DocumentKind, id: &str) -> Result<Option<Document>, IndexError> {
        read_document(&mut self.connection().await?, self.keys.document(kind, id)).await
    }

    async fn put_document(
        &self,
        kind: DocumentKind,
        id: &str,
        body: Vec<u8>,
        expect: Expect,
    ) -> Result<Put, IndexError> {
        let changes = matches!(expect, Expect::Version(_));
        let script = if changes {
            &self.scripts.change_document
        } else {
            &self.scripts.put_document
        };
        let mut script = script.key(self.keys.document(kind, id));
        script
            .key(self.keys.documents(kind))
            .arg(expected(expect))
            .arg(body)
            .arg(id);
        // A change can be what stops somebody (a user or application is disabled, a secret ends); what is new stops nobody.
        let stored: Option<(Revision, Generation)> = if changes {
            self.promise(self.keys.document_mark(kind), &script).await?
        } else {
            let stored = script.invoke_async(&mut self.connection().await?).await;
            stored.map_err(|error| index_error(&error))?
        };
        Ok(stored.map_or(Put::Conflict, |(version, generation)| Put::Stored {
            version,
            generation,
        }))
    }

    async fn delete_document(
        &self,
        kind: DocumentKind,
        id: &str,
        expect: Expect,
        remember_ms: u64,
    ) -> Result<Delete, IndexError> {
        let mut script = self.scripts.delete_document.key(self.keys.document(kind, id));
        script
            .key(self.keys.documents(kind))
            .arg(expected(expect))
            .arg(remember_ms)
            .arg(id);
        let outcome: String = self.promise(self.keys.document_mark(kind), &script).await?;
        match outcome.as_str() {
            "deleted" => Ok(Delete::Deleted),
            "absent" => Ok(Delete::Absent),
            "conflict" => Ok(Delete::Conflict),
            _ => Err(corrupt("a script answered an unknown outcome")),
        }
    }

    async fn documents(
        &self,
        kind: DocumentKind,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Document)>, IndexError> {
        let mut found: Vec<(String, Document)> = Vec::new();
        let mut after = after.map(str::to_owned);
        loop {
            let wanted = limit - found.len();
            let ids = self.ids(kind, after.as_deref(), wanted).await?;
            let last = ids.len() < wanted;
            after = ids.last().cloned();
            // One that was deleted between the two reads is left out, and the next one takes its place.
            found.extend(self.by_id(kind, ids).await?);
            if last || found.len() == limit {
                return Ok(found);
            }
        }
    }

    async fn raise_generation(
        &self,
        kind: DocumentKind,
        id: &str,
    ) -> Result<Option<(Generation, Revision)>, IndexError> {
        let script = self.scripts.raise_generation.key(self.keys.document(kind, id));
        self.promise(self.keys.document_mark(kind), &script).await
    }
}

impl RedisIndex {
    async fn ids(&self, kind: DocumentKind, after: Option<&str>, limit: usize) -> Result<Vec<String>, IndexError> {
        redis::cmd("ZRANGEBYLEX")
            .arg(self.keys.documents(kind))
            .arg(after.map_or("-".to_owned(), |id| format!("({id}")))
            .arg("+")
            .arg(&["LIMIT", "0"])
            .arg(limit)
            .query_async(&mut self.connection().await?)
            .await
            .map_err(|error| index_error(&error))
    }

    async fn by_id(&self, kind: DocumentKind, ids: Vec<String>) -> Result<Vec<(String, Document)>, IndexError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::pipe();
        for id in &ids {
            pipeline
                .cmd("HMGET")
                .arg(self.keys.document(kind, id))
                .arg(&["d", "v", "g"]);
        }
        let found: Vec<Fields> = pipeline
            .query_async(&mut self.connection().await?)
            .await
            .map_err(|error| index_error(&error))?;
        Ok(ids
            .into_iter()
            .zip(found)
            .filter_map(|(id, fields)| Some((id, document(fields)?)))
            .collect())
    }
}
