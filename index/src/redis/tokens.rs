//! The live tokens in Redis.

use async_trait::async_trait;
use prost::Message as _;
use redis::aio::ConnectionLike;
use redis::{Cmd, RedisResult, ScriptInvocation};
use tokenbind_proto::index::v1::TokenRecord;

use super::families::decode_family;
use super::lanes::Lane;
use super::{RedisIndex, corrupt};
use crate::error::IndexError;
use crate::family::{FamilyPosition, ListedFamily};
use crate::locator::{Home, Locator, Slot};
use crate::member::Member;
use crate::store::{
    BindingIndex, BindingLimit, Cursor, Issue, IssuePolicy, Issued, LEAST_REUSE_MS, ListedToken, OverLimit, Page,
    Revision, Revoked, Selection,
};

/// How many members of a list one step of a revocation looks at: about 5 ms of Redis's time.
const REVOKE_STEP: usize = 5_000;
/// How often a list of more than one step is gone through at most, while each time finds something: a subject who is issued
/// tokens all the time is not revoked for ever.
const MOST_PASSES: usize = 8;

#[async_trait]
impl BindingIndex for RedisIndex {
    async fn issue(&self, issue: Issue) -> Result<Issued, IndexError> {
        let (record, list) = (self.keys.record(issue.home, issue.slot), self.keys.list(issue.home));
        let issuing = Issuing::new(issue);
        let script = |latest| {
            let mut script = self.scripts.issue.key(&record);
            script.key(&list);
            issuing.arguments(&mut script, latest, false);
            script
        };
        let (answer, lane): (Vec<redis::Value>, _) = self.in_time(&record, &script).await?;
        let issued = issued(&mut answer.into_iter())?;
        lane.heard(&issued);
        Ok(issued)
    }

    async fn read(&self, locator: &Locator) -> Result<Option<TokenRecord>, IndexError> {
        let key = self.keys.record(locator.home, locator.slot);
        let record: Option<Vec<u8>> = self.on_key(&key, &reading(&key)).await?;
        record.as_deref().map(decode_token).transpose()
    }

    async fn revoke_token(&self, home: Home, slot: Slot, record: &TokenRecord) -> Result<Revoked, IndexError> {
        let mut script = self.scripts.revoke_token.key(self.keys.record(home, slot));
        script
            .key(self.keys.list(home))
            .arg(record.digest.as_slice())
            .arg(&slot.0)
            .arg(record.lifetime_ms);
        let (revision, count) = self.promise(self.keys.mark(home), &script).await?;
        Ok(Revoked { revision, count })
    }

    async fn revoke_subject(&self, home: Home, selection: Selection) -> Result<Revoked, IndexError> {
        let (mut total, mut pass) = (0, 1);
        loop {
            let (revoked, steps) = self.revoke_pass(home, &selection).await?;
            total += revoked.count;
            // Between two steps, what a later one ends can still be exchanged or refreshed, for something that the steps before
            // would have met. And a failover in between changes what a cursor means, so one pass of many steps proves nothing.
            if steps == 1 || (pass > 1 && revoked.count == 0) || pass == MOST_PASSES {
                return Ok(Revoked {
                    count: total,
                    ..revoked
                });
            }
            pass += 1;
        }
    }

    async fn list(&self, home: Home, after: Option<Cursor>, limit: usize) -> Result<Page, IndexError> {
        let from = after.unwrap_or(Cursor {
            expires_ms: 0,
            listed: 0,
        });
        let list = self.keys.list(home);
        let mut script = self.scripts.list.key(&list);
        script
            .arg(self.keys.record_prefix(home))
            .arg(from.expires_ms)
            .arg(from.listed)
            .arg(limit);
        page(from, self.on_keys(&list, &script).await?)
    }

    async fn settle(&self, home: Home) -> Result<Revision, IndexError> {
        self.settled(self.keys.mark(home)).await
    }

    async fn ping(&self) -> Result<Revision, IndexError> {
        self.check_once().await?;
        self.pulse().await
    }
}

impl RedisIndex {
    /// Goes through a subject's list once; answers in how many steps.
    async fn revoke_pass(&self, home: Home, selection: &Selection) -> Result<(Revoked, usize), IndexError> {
        let application = selection.application.map(|tag| tag.0);
        let binding = selection.binding.map(|tag| tag.0);
        let mut cursor = "0".to_owned();
        let (mut total, mut steps) = (0, 0);
        let list = self.keys.list(home);
        let owner = || self.topology.map().node(&list).map(|node| node.number);
        let began_at = owner();
        loop {
            let mut script = self.scripts.revoke_subject.key(&list);
            script
                .arg(self.keys.record_prefix(home))
                .arg(application.as_ref().map_or(&[][..], |tag| tag.as_slice()))
                .arg(binding.as_ref().map_or(&[][..], |tag| tag.as_slice()))
                .arg(&cursor)
                .arg(REVOKE_STEP);
            let (revision, count, next): (Revision, u64, String) = self.promise(self.keys.mark(home), &script).await?;
            (total, steps) = (total + count, steps + 1);
            if steps > 1 && owner() != began_at {
                // Another server's cursor means something else.
                return Err(IndexError::Unavailable(
                    "the subject moved while it was revoked".to_owned(),
                ));
            }
            if next == "0" {
                return Ok((Revoked { revision, count: total }, steps));
            }
            cursor = next;
        }
    }
}

/// A record to put in a slot, as the scripts take it.
pub(super) struct Issuing {
    record: Vec<u8>,
    lifetime_ms: u32,
    member: [u8; Member::BYTES],
    policy: IssuePolicy,
    limit: Option<BindingLimit>,
}

impl Issuing {
    pub(super) fn new(issue: Issue) -> Self {
        let member = Member::of(&issue).to_bytes();
        let Issue {
            mut record,
            policy,
            limit,
            ..
        } = issue;
        // The script puts the revision before the rest of the record; prost leaves out a zero.
        record.revision = 0;
        Self {
            lifetime_ms: record.lifetime_ms,
            record: record.encode_to_vec(),
            member,
            policy,
            limit,
        }
    }

    /// The arguments of every script that issues, in the order of `issue.lua`. Where more follow, all of them; else what is not
    /// needed is not sent, because each argument costs Redis some time.
    pub(super) fn arguments(&self, script: &mut ScriptInvocation<'_>, latest: Option<Revision>, more_follow: bool) {
        script.arg(&self.record).arg(self.lifetime_ms).arg(&self.member);
        match latest {
            Some(latest) => script.arg(latest),
            None => script.arg(""),
        };
        match self.policy {
            IssuePolicy::Keep { except } => {
                let except = except.map(u64::to_le_bytes);
                let except = except.as_ref().map_or(&[][..], |revision| revision.as_slice());
                script.arg(LEAST_REUSE_MS).arg(except);
            }
            IssuePolicy::ReplaceOnly(digest) => {
                script.arg("").arg(&digest.0);
            }
            IssuePolicy::Replace if self.limit.is_some() || more_follow => {
                script.arg("").arg("");
            }
            IssuePolicy::Replace => {}
        }
        match self.limit {
            Some(limit) => {
                script.arg(limit.max).arg(match limit.over {
                    OverLimit::Reject => "reject",
                    OverLimit::EvictOldest => "evict",
                });
            }
            None if more_follow => {
                script.arg("").arg("");
            }
            None => {}
        }
    }
}

impl Lane {
    /// What a token that was issued tells of the node's clock.
    pub(super) fn heard(&self, issued: &Issued) {
        if let Issued::New { revision, .. } = issued {
            self.node.clock.told(*revision);
        }
    }
}

/// Reads the record of a key, on whichever connection.
pub(super) async fn read_record(connection: &mut impl ConnectionLike, key: &[u8]) -> RedisResult<Option<Vec<u8>>> {
    reading(key).query_async(connection).await
}

fn reading(key: &[u8]) -> Cmd {
    let mut command = redis::cmd("GET");
    command.arg(key);
    command
}

pub(super) fn decode_token(record: &[u8]) -> Result<TokenRecord, IndexError> {
    TokenRecord::decode(record).map_err(|error| corrupt(&format!("a token record: {error}")))
}

pub(super) fn value<T: redis::FromRedisValue>(
    answer: &mut impl Iterator<Item = redis::Value>,
) -> Result<T, IndexError> {
    let value = answer.next().ok_or_else(|| corrupt("a script answered too little"))?;
    redis::from_redis_value(value).map_err(|error| corrupt(&format!("a script's answer: {error}")))
}

/// Reads what the Lua function `issue` answered, and leaves what follows it.
pub(super) fn issued(answer: &mut impl Iterator<Item = redis::Value>) -> Result<Issued, IndexError> {
    let outcome: String = value(answer)?;
    match outcome.as_str() {
        "new" => Ok(Issued::New {
            revision: value(answer)?,
            superseded: value::<u8>(answer)? == 1,
        }),
        "kept" => {
            let record: Vec<u8> = value(answer)?;
            Ok(Issued::Kept {
                record: Box::new(decode_token(&record)?),
                remaining_ms: value(answer)?,
            })
        }
        "limit" => Ok(Issued::LimitReached),
        "behind" => Ok(Issued::GenerationBehind),
        "gone" => Ok(Issued::Gone),
        "late" => Err(IndexError::Unavailable("Redis got to it too late".to_owned())),
        _ => Err(corrupt("a script answered an unknown outcome")),
    }
}

fn page(from: Cursor, answer: Vec<redis::Value>) -> Result<Page, IndexError> {
    let mut answer = answer.into_iter();
    let more: u8 = value(&mut answer)?;
    let (mut tokens, mut families, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    while answer.len() > 0 {
        let member: Vec<u8> = value(&mut answer)?;
        let expires_ms: u64 = value(&mut answer)?;
        ends.push(expires_ms);
        let record: Vec<u8> = value(&mut answer)?;
        // What was revoked by itself, or what the store lost, is not live.
        if record.is_empty() {
            continue;
        }
        if FamilyPosition::from_bytes(&member).is_some() {
            let record = decode_family(&record)?;
            families.push(ListedFamily { expires_ms, record });
        } else {
            let slot = Member::slot_in(&member).ok_or_else(|| corrupt("a member of a subject's list"))?;
            tokens.push(ListedToken {
                slot,
                record: decode_token(&record)?,
            });
        }
    }
    Ok(Page {
        tokens,
        families,
        next: (more == 1).then(|| Cursor::after(from, ends.into_iter())),
    })
}
