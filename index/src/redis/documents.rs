//! The documents in Redis.

use async_trait::async_trait;
use redis::aio::ConnectionLike;
use redis::{Cmd, RedisResult};

use super::route::{Operation, Touches};
use super::{RedisIndex, corrupt};
use crate::document::{Delete, Document, DocumentKind, DocumentStore, Expect, Generation, LostDocuments, Put};
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
pub(super) async fn read_document(connection: &mut impl ConnectionLike, key: &[u8]) -> RedisResult<Option<Document>> {
    reading(key).query_async(connection).await.map(document)
}

fn reading(key: &[u8]) -> Cmd {
    let mut command = redis::cmd("HMGET");
    command.arg(key).arg(&["d", "v", "g"]);
    command
}

fn present(key: &[u8]) -> Cmd {
    let mut command = redis::cmd("HEXISTS");
    command.arg(key).arg("d");
    command
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
        let key = self.keys.document(kind, id);
        let fields: Fields = self.on_key(&key, &reading(&key)).await?;
        Ok(document(fields))
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
        let key = self.keys.document(kind, id);
        let mut script = script.key(&key);
        script
            .key(self.keys.documents(kind))
            .arg(expected(expect))
            .arg(body)
            .arg(id);
        // A change can be what stops somebody (a user or application is disabled, a secret ends); what is new stops nobody.
        let stored: Option<(Revision, Generation)> = if changes {
            self.promise(self.keys.document_mark(kind), &script).await?
        } else {
            self.on_keys(&key, &script).await?
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
        let key = self.keys.document(kind, id);
        let mut script = self.scripts.delete_document.key(&key);
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

    async fn lost_documents(
        &self,
        kind: DocumentKind,
        after: Option<&str>,
        limit: usize,
    ) -> Result<LostDocuments, IndexError> {
        let mut ids = self.ids(kind, after, limit).await?;
        if ids.is_empty() {
            return Ok(LostDocuments::default());
        }
        let next = ids.last().filter(|_| ids.len() == limit).cloned();
        let mut pipeline = redis::pipe();
        for id in &ids {
            // One that was deleted is not listed any more, and may leave its generation behind.
            pipeline.add_command(present(&self.keys.document(kind, id)));
        }
        let of_kind = self.keys.documents(kind);
        let found = self
            .run(Touches::Keys, &of_kind, Operation::Pipeline(&pipeline))
            .await?;
        let present: Vec<bool> = found.0;
        let mut present = present.into_iter();
        ids.retain(|_| present.next() == Some(false));
        Ok(LostDocuments { ids, next })
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
        let key = self.keys.documents(kind);
        let mut command = redis::cmd("ZRANGEBYLEX");
        command
            .arg(&key)
            .arg(after.map_or("-".to_owned(), |id| format!("({id}")))
            .arg("+")
            .arg(&["LIMIT", "0"])
            .arg(limit);
        self.on_key(&key, &command).await
    }

    async fn by_id(&self, kind: DocumentKind, ids: Vec<String>) -> Result<Vec<(String, Document)>, IndexError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::pipe();
        for id in &ids {
            pipeline.add_command(reading(&self.keys.document(kind, id)));
        }
        // Of a pipeline nothing is redirected one by one, so it waits where its keys are on the move.
        let of_kind = self.keys.documents(kind);
        let found = self
            .run(Touches::Keys, &of_kind, Operation::Pipeline(&pipeline))
            .await?;
        let found: Vec<Fields> = found.0;
        Ok(ids
            .into_iter()
            .zip(found)
            .filter_map(|(id, fields)| Some((id, document(fields)?)))
            .collect())
    }
}
