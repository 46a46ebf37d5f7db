//! The families of refresh tokens in Redis.

use async_trait::async_trait;
use prost::Message as _;
use tokenbind_proto::index::v1::RefreshFamilyRecord;

use super::tokens::{Issuing, issued, value};
use super::{RedisIndex, corrupt};
use crate::binding::ApplicationTag;
use crate::error::IndexError;
use crate::family::{
    Begin, Begun, FamilyIndex, FamilyLocator, FamilyPosition, Grace, LiveFamily, MAX_FAMILIES, MAX_FAMILY_TOKENS,
    Refresh, Refreshed,
};
use crate::store::{Issue, Issued, Revision, Revoked};

#[async_trait]
impl FamilyIndex for RedisIndex {
    async fn begin_family(&self, issue: Issue, begin: Begin) -> Result<Begun, IndexError> {
        let home = issue.home;
        let application = ApplicationTag::of(&issue.record.client_id);
        let binding = issue.binding;
        let record = self.keys.record(home, issue.slot);
        let issuing = Issuing::new(issue);
        let body = body(begin.record);
        let list = self.keys.list(home);
        let script = |latest| {
            let mut script = self.scripts.begin_family.key(&record);
            script.key(&list);
            issuing.arguments(&mut script, latest, true);
            script
                .arg(&begin.nonce.0)
                .arg(&body)
                .arg(begin.lifetime_ms)
                .arg(begin.idle_ms)
                .arg(MAX_FAMILIES);
            script
        };
        let (answer, lane): (Vec<redis::Value>, _) = self.in_time(&record, &script).await?;
        let mut answer = answer.into_iter();
        let issued = issued(&mut answer)?;
        lane.heard(&issued);
        if !matches!(issued, Issued::New { .. } | Issued::Kept { .. }) {
            return Ok(Begun { issued, family: None });
        }
        let position = FamilyPosition {
            application,
            binding,
            index: value(&mut answer)?,
        };
        let locator = FamilyLocator {
            home,
            position,
            nonce: begin.nonce,
        };
        let family = LiveFamily {
            locator,
            sequence: 1,
            remaining_ms: value(&mut answer)?,
        };
        Ok(Begun {
            issued,
            family: Some(family),
        })
    }

    async fn read_family(&self, family: &FamilyLocator) -> Result<Option<RefreshFamilyRecord>, IndexError> {
        let key = self.keys.family(family.home, family.position);
        let mut command = redis::cmd("GET");
        command.arg(&key);
        let record: Option<Vec<u8>> = self.on_key(&key, &command).await?;
        let record = record.as_deref().map(decode_family).transpose()?;
        Ok(record.filter(|record| record.nonce == family.nonce.0))
    }

    async fn refresh(&self, issue: Issue, refresh: Refresh) -> Result<Refreshed, IndexError> {
        let Refresh {
            family: locator,
            presented,
            rotate,
        } = refresh;
        let home = issue.home;
        let record = self.keys.record(home, issue.slot);
        let issuing = Issuing::new(issue);
        let rotate = rotate.map(|rotate| (body(rotate.record), rotate.idle_ms, rotate.grace));
        let (list, family) = (self.keys.list(home), self.keys.family(locator.home, locator.position));
        let script = |latest| {
            let mut script = self.scripts.refresh.key(&record);
            script.key(&list).key(&family);
            issuing.arguments(&mut script, latest, true);
            script
                .arg(&locator.position.to_bytes())
                .arg(&locator.nonce.0)
                .arg(presented)
                .arg(MAX_FAMILY_TOKENS);
            if let Some((body, idle_ms, grace)) = &rotate {
                script.arg(body).arg(idle_ms).arg(grace.ms).arg(grace.uses);
            }
            script
        };
        let (answer, lane) = self.in_time(&record, &script).await?;
        let refreshed = refreshed(locator, answer)?;
        if let Refreshed::Done { issued, .. } = &refreshed {
            lane.heard(issued);
        }
        Ok(refreshed)
    }

    async fn end_family(&self, family: &FamilyLocator) -> Result<Revoked, IndexError> {
        let ended = self.end(family, None).await?;
        ended.ok_or_else(|| corrupt("a script did not say what it ended"))
    }

    async fn end_reused(
        &self,
        family: &FamilyLocator,
        presented: u32,
        grace: Grace,
    ) -> Result<Option<Revoked>, IndexError> {
        self.end(family, Some((presented, grace))).await
    }
}

impl RedisIndex {
    async fn end(&self, family: &FamilyLocator, reused: Option<(u32, Grace)>) -> Result<Option<Revoked>, IndexError> {
        let key = self.keys.family(family.home, family.position);
        let mut script = self.scripts.end_family.key(key);
        script
            .key(self.keys.list(family.home))
            .arg(&family.position.to_bytes())
            .arg(&family.nonce.0)
            .arg(self.keys.record_prefix(family.home));
        if let Some((presented, grace)) = reused {
            script.arg(presented).arg(grace.ms).arg(grace.uses);
        }
        let ended: Option<(Revision, u64)> = self.promise(self.keys.mark(family.home), &script).await?;
        Ok(ended.map(|(revision, count)| Revoked { revision, count }))
    }
}

/// A record without its header, which the scripts write.
fn body(record: RefreshFamilyRecord) -> Vec<u8> {
    RefreshFamilyRecord {
        rotated_at: 0,
        generation: 0,
        sequence: 0,
        grace_uses: 0,
        ends_at: 0,
        nonce: Vec::new(),
        tokens: Vec::new(),
        ..record
    }
    .encode_to_vec()
}

pub(super) fn decode_family(record: &[u8]) -> Result<RefreshFamilyRecord, IndexError> {
    RefreshFamilyRecord::decode(record).map_err(|error| corrupt(&format!("a family's record: {error}")))
}

fn refreshed(locator: FamilyLocator, answer: Vec<redis::Value>) -> Result<Refreshed, IndexError> {
    let mut answer = answer.into_iter();
    let outcome: String = match answer.as_slice().first() {
        Some(outcome) => value(&mut std::iter::once(outcome.clone()))?,
        None => return Err(corrupt("a script answered nothing")),
    };
    match outcome.as_str() {
        "gone" => return Ok(Refreshed::Gone),
        "many" => return Ok(Refreshed::TooManyTokens),
        "reused" => {
            answer.next();
            return Ok(Refreshed::Reused(Revoked {
                revision: value(&mut answer)?,
                count: value(&mut answer)?,
            }));
        }
        _ => {}
    }
    let issued = issued(&mut answer)?;
    if !matches!(issued, Issued::New { .. } | Issued::Kept { .. }) {
        return Ok(Refreshed::NotIssued(issued));
    }
    let family = LiveFamily {
        locator,
        sequence: value(&mut answer)?,
        remaining_ms: value(&mut answer)?,
    };
    let replayed: Vec<u8> = value(&mut answer)?;
    let replayed = (!replayed.is_empty()).then(|| decode_family(&replayed)).transpose()?;
    Ok(Refreshed::Done {
        issued,
        family,
        replayed: replayed.map(Box::new),
    })
}
