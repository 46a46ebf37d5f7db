//! The live tokens in Redis.

use async_trait::async_trait;
use prost::Message as _;
use redis::aio::ConnectionLike;
use tokenbind_proto::index::v1::TokenRecord;

use super::{RedisIndex, corrupt, index_error};
use crate::error::IndexError;
use crate::locator::{Home, Locator, Slot};
use crate::member::Member;
use crate::store::{
    BindingIndex, Cursor, Issue, IssuePolicy, Issued, LEAST_REUSE_MS, ListedToken, OverLimit, Page, Revision, Revoked,
    Selection,
};

/// How many members of a list one step of a revocation looks at: about 5 ms of Redis's time.
const REVOKE_STEP: usize = 5_000;

#[async_trait]
impl BindingIndex for RedisIndex {
    async fn issue(&self, issue: Issue) -> Result<Issued, IndexError> {
        let member = Member::of(&issue).to_bytes();
        let Issue {
            home,
            slot,
            mut record,
            policy,
            limit,
            binding: _,
        } = issue;
        // The script puts the revision before the rest of the record; prost leaves out a zero.
        record.revision = 0;
        let mut script = self.scripts.issue.key(self.keys.record(home, slot));
        script
            .key(self.keys.list(home))
            .arg(record.encode_to_vec())
            .arg(record.lifetime_ms)
            .arg(&member);
        match self.clock.after(self.patience) {
            Some(latest) => script.arg(latest),
            None => script.arg(""),
        };
        // What is not needed is not sent: each argument costs Redis some time.
        match policy {
            IssuePolicy::Keep { except } => {
                let except = except.map(u64::to_le_bytes);
                let except = except.as_ref().map_or(&[][..], |revision| revision.as_slice());
                script.arg(LEAST_REUSE_MS).arg(except);
            }
            IssuePolicy::Replace if limit.is_some() => {
                script.arg("").arg("");
            }
            IssuePolicy::Replace => {}
        }
        if let Some(limit) = limit {
            script.arg(limit.max).arg(match limit.over {
                OverLimit::Reject => "reject",
                OverLimit::EvictOldest => "evict",
            });
        }
        let answer: Vec<redis::Value> = script
            .invoke_async(&mut self.connection().await?)
            .await
            .map_err(|error| index_error(&error))?;
        let issued = issued(answer)?;
        if let Issued::New { revision, .. } = issued {
            self.clock.told(revision);
        }
        Ok(issued)
    }

    async fn read(&self, locator: &Locator) -> Result<Option<TokenRecord>, IndexError> {
        read_token(
            &mut self.connection().await?,
            self.keys.record(locator.home, locator.slot),
        )
        .await
    }

    async fn revoke_token(&self, home: Home, slot: Slot, record: &TokenRecord) -> Result<Revoked, IndexError> {
        let (revision, count) = self
            .scripts
            .revoke_token
            .key(self.keys.record(home, slot))
            .key(self.keys.list(home))
            .arg(record.digest.as_slice())
            .arg(&slot.0)
            .arg(record.lifetime_ms)
            .invoke_async(&mut self.connection().await?)
            .await
            .map_err(|error| index_error(&error))?;
        Ok(Revoked { revision, count })
    }

    async fn revoke_subject(&self, home: Home, selection: Selection) -> Result<Revoked, IndexError> {
        let application = selection.application.map(|tag| tag.0);
        let binding = selection.binding.map(|tag| tag.0);
        let mut from = "-inf".to_owned();
        let mut total = 0;
        loop {
            let (revision, count, next): (Revision, u64, String) = self
                .scripts
                .revoke_subject
                .key(self.keys.list(home))
                .arg(self.keys.record_prefix(home))
                .arg(application.as_ref().map_or(&[][..], |tag| tag.as_slice()))
                .arg(binding.as_ref().map_or(&[][..], |tag| tag.as_slice()))
                .arg(&from)
                .arg(REVOKE_STEP)
                .invoke_async(&mut self.connection().await?)
                .await
                .map_err(|error| index_error(&error))?;
            total += count;
            if next.is_empty() {
                return Ok(Revoked { revision, count: total });
            }
            from = next;
        }
    }

    async fn list(&self, home: Home, after: Option<Cursor>, limit: usize) -> Result<Page, IndexError> {
        let from = after.unwrap_or(Cursor {
            expires_ms: 0,
            listed: 0,
        });
        let answer: Vec<redis::Value> = self
            .scripts
            .list
            .key(self.keys.list(home))
            .arg(self.keys.record_prefix(home))
            .arg(from.expires_ms)
            .arg(from.listed)
            .arg(limit)
            .invoke_async(&mut self.connection().await?)
            .await
            .map_err(|error| index_error(&error))?;
        page(from, answer)
    }

    async fn ping(&self) -> Result<Revision, IndexError> {
        self.check_once().await?;
        let (seconds, micros): (u64, u64) = redis::cmd("TIME")
            .query_async(&mut self.connection().await?)
            .await
            .map_err(|error| index_error(&error))?;
        let revision = seconds * 1_000_000 + micros;
        self.clock.told(revision);
        Ok(revision)
    }
}

/// Reads the record of a key, on whichever connection.
pub(super) async fn read_token(
    connection: &mut impl ConnectionLike,
    key: Vec<u8>,
) -> Result<Option<TokenRecord>, IndexError> {
    let record: Option<Vec<u8>> = redis::cmd("GET")
        .arg(key)
        .query_async(connection)
        .await
        .map_err(|error| index_error(&error))?;
    record.as_deref().map(decode).transpose()
}

fn decode(record: &[u8]) -> Result<TokenRecord, IndexError> {
    TokenRecord::decode(record).map_err(|error| corrupt(&format!("a token record: {error}")))
}

fn value<T: redis::FromRedisValue>(answer: &mut impl Iterator<Item = redis::Value>) -> Result<T, IndexError> {
    let value = answer.next().ok_or_else(|| corrupt("a script answered too little"))?;
    redis::from_redis_value(value).map_err(|error| corrupt(&format!("a script's answer: {error}")))
}

fn issued(answer: Vec<redis::Value>) -> Result<Issued, IndexError> {
    let mut answer = answer.into_iter();
    let outcome: String = value(&mut answer)?;
    match outcome.as_str() {
        "new" => Ok(Issued::New {
            revision: value(&mut answer)?,
            superseded: value::<u8>(&mut answer)? == 1,
        }),
        "kept" => {
            let record: Vec<u8> = value(&mut answer)?;
            Ok(Issued::Kept {
                record: Box::new(decode(&record)?),
                remaining_ms: value(&mut answer)?,
            })
        }
        "limit" => Ok(Issued::LimitReached),
        "behind" => Ok(Issued::GenerationBehind),
        "late" => Err(IndexError::Unavailable("Redis got to it too late".to_owned())),
        _ => Err(corrupt("a script answered an unknown outcome")),
    }
}

fn page(from: Cursor, answer: Vec<redis::Value>) -> Result<Page, IndexError> {
    let mut answer = answer.into_iter();
    let more: u8 = value(&mut answer)?;
    let (mut tokens, mut ends) = (Vec::new(), Vec::new());
    while answer.len() > 0 {
        let member: Vec<u8> = value(&mut answer)?;
        ends.push(value::<u64>(&mut answer)?);
        let record: Vec<u8> = value(&mut answer)?;
        // A token that was revoked by itself, or that the store lost, is not live.
        if !record.is_empty() {
            let slot = Member::slot_in(&member).ok_or_else(|| corrupt("a member of a subject's list"))?;
            tokens.push(ListedToken {
                slot,
                record: decode(&record)?,
            });
        }
    }
    Ok(Page {
        tokens,
        next: (more == 1).then(|| Cursor::after(from, ends.into_iter())),
    })
}
