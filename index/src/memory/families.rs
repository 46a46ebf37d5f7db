//! The families of refresh tokens in memory.

use async_trait::async_trait;
use tokenbind_proto::index::v1::RefreshFamilyRecord;

use super::tokens::Tokens;
use super::{MemoryIndex, State};
use crate::binding::{ApplicationTag, BindingTag};
use crate::error::IndexError;
use crate::family::{
    Begin, Begun, FamilyIndex, FamilyLocator, FamilyPosition, Grace, LiveFamily, MAX_FAMILIES, MAX_FAMILY_TOKENS,
    Refresh, Refreshed, is_within_grace,
};
use crate::locator::{Home, Slot};
use crate::member::Listed;
use crate::store::{Issue, Issued, Revoked};

pub(super) struct Family {
    pub(super) record: RefreshFamilyRecord,
    expires_ms: u64,
}

impl Tokens {
    pub(super) fn remove_family(&mut self, home: Home, position: FamilyPosition) -> bool {
        let Some(family) = self.families.remove(&(home, position)) else {
            return false;
        };
        self.unlist(home, family.expires_ms, Listed::Family(position));
        true
    }

    fn put_family(&mut self, home: Home, position: FamilyPosition, family: Family) {
        self.remove_family(home, position);
        self.list(home, family.expires_ms, Listed::Family(position));
        self.families.insert((home, position), family);
    }

    fn family(&self, locator: &FamilyLocator) -> Option<&Family> {
        let family = self.families.get(&(locator.home, locator.position))?;
        (family.record.nonce == locator.nonce.0).then_some(family)
    }

    /// The first free place, else that of the family that was used longest ago.
    fn place(&self, home: Home, application: ApplicationTag, binding: BindingTag, generation: u32) -> FamilyPosition {
        let used_at = |position: &FamilyPosition| {
            let family = self.families.get(&(home, *position))?;
            (family.record.generation >= generation).then_some(family.record.rotated_at)
        };
        let at = |index| FamilyPosition {
            application,
            binding,
            index,
        };
        (0..MAX_FAMILIES).map(at).min_by_key(used_at).unwrap_or(at(0))
    }

    fn is_live(&self, home: Home, token: &[u8]) -> bool {
        let Some((slot, digest)) = token.split_first_chunk() else {
            return false;
        };
        let entry = self.live.get(&(home, Slot(*slot)));
        entry.is_some_and(|entry| entry.record.digest == digest)
    }

    /// Where a family notes the access token of a slot; `None` when it has too many.
    fn note(&self, home: Home, slot: Slot, tokens: &mut Vec<Vec<u8>>) -> Option<usize> {
        let there = |tokens: &[Vec<u8>]| tokens.iter().position(|token| token.starts_with(&slot.0));
        if there(tokens).is_none() && tokens.len() >= MAX_FAMILY_TOKENS {
            tokens.retain(|token| self.is_live(home, token));
        }
        there(tokens).or_else(|| (tokens.len() < MAX_FAMILY_TOKENS).then_some(tokens.len()))
    }

    fn end_family(&mut self, locator: &FamilyLocator) -> u64 {
        let Some(family) = self.family(locator) else { return 0 };
        let tokens = family.record.tokens.clone();
        let mut count = 0;
        for token in tokens {
            if self.is_live(locator.home, &token)
                && let Some(slot) = token.first_chunk()
            {
                count += u64::from(self.remove(locator.home, Slot(*slot)));
            }
        }
        count + u64::from(self.remove_family(locator.home, locator.position))
    }
}

/// What a family holds of an access token.
fn noted(slot: Slot, digest: &[u8]) -> Vec<u8> {
    [&slot.0, digest].concat()
}

/// The digest of the token that was answered, if one was.
fn answered<'a>(issued: &'a Issued, wanted: &'a [u8]) -> Option<&'a [u8]> {
    match issued {
        Issued::New { .. } => Some(wanted),
        Issued::Kept { record, .. } => Some(&record.digest),
        Issued::LimitReached | Issued::GenerationBehind | Issued::Gone => None,
    }
}

#[async_trait]
impl FamilyIndex for MemoryIndex {
    async fn begin_family(&self, issue: Issue, begin: Begin) -> Result<Begun, IndexError> {
        let (mut state, now_ms) = self.current();
        let (home, slot, binding) = (issue.home, issue.slot, issue.binding);
        let token = issue.record.clone();
        let issued = self.issue_in(&mut state, now_ms, issue);
        let Some(digest) = answered(&issued, &token.digest) else {
            return Ok(Begun { issued, family: None });
        };
        let application = ApplicationTag::of(&token.client_id);
        let position = state.tokens.place(home, application, binding, token.generation);
        let mut record = begin.record;
        record.rotated_at = self.write_at(&mut state);
        record.generation = token.generation;
        record.sequence = 1;
        record.grace_uses = 0;
        record.ends_at = now_ms + begin.lifetime_ms;
        record.tokens = vec![noted(slot, digest)];
        let remaining_ms = begin.idle_ms.min(begin.lifetime_ms);
        let nonce = begin.nonce;
        record.nonce = nonce.0.to_vec();
        let expires_ms = now_ms + remaining_ms;
        state.tokens.put_family(home, position, Family { record, expires_ms });
        let family = LiveFamily {
            locator: FamilyLocator { home, position, nonce },
            sequence: 1,
            remaining_ms,
        };
        Ok(Begun {
            issued,
            family: Some(family),
        })
    }

    async fn read_family(&self, family: &FamilyLocator) -> Result<Option<RefreshFamilyRecord>, IndexError> {
        let (state, _) = self.current();
        Ok(state.tokens.family(family).map(|family| family.record.clone()))
    }

    async fn refresh(&self, issue: Issue, refresh: Refresh) -> Result<Refreshed, IndexError> {
        let (mut state, now_ms) = self.current();
        Ok(self.refresh_in(&mut state, now_ms, issue, refresh))
    }

    async fn end_family(&self, family: &FamilyLocator) -> Result<Revoked, IndexError> {
        let (mut state, _) = self.current();
        let count = state.tokens.end_family(family);
        Ok(Revoked {
            revision: self.write_at(&mut state),
            count,
        })
    }

    async fn end_reused(
        &self,
        family: &FamilyLocator,
        presented: u32,
        grace: Grace,
    ) -> Result<Option<Revoked>, IndexError> {
        let (mut state, _) = self.current();
        let reused = state.tokens.family(family).is_some_and(|family| {
            let record = &family.record;
            presented < record.sequence && !is_within_grace(record, presented, grace, self.clock.now_us())
        });
        if !reused {
            return Ok(None);
        }
        let count = state.tokens.end_family(family);
        Ok(Some(Revoked {
            revision: self.write_at(&mut state),
            count,
        }))
    }
}

impl MemoryIndex {
    fn refresh_in(&self, state: &mut State, now_ms: u64, issue: Issue, refresh: Refresh) -> Refreshed {
        let Refresh {
            family: locator,
            presented,
            rotate,
        } = refresh;
        let Some(Family { record, expires_ms }) = state.tokens.family(&locator) else {
            return Refreshed::Gone;
        };
        let (mut record, mut expires_ms) = (record.clone(), *expires_ms);
        if record.generation != issue.record.generation {
            return if record.generation > issue.record.generation {
                Refreshed::NotIssued(Issued::GenerationBehind)
            } else {
                Refreshed::Gone
            };
        }
        let replays = presented < record.sequence;
        let grace = rotate.as_ref().map(|rotate| rotate.grace);
        match grace {
            Some(grace) if replays && !is_within_grace(&record, presented, grace, self.clock.now_us()) => {
                let count = state.tokens.end_family(&locator);
                let revision = self.write_at(state);
                return Refreshed::Reused(Revoked { revision, count });
            }
            None if replays => return Refreshed::Gone,
            _ if presented > record.sequence => return Refreshed::Gone,
            _ => {}
        }

        let (home, slot, digest) = (issue.home, issue.slot, issue.record.digest.clone());
        let Some(place) = state.tokens.note(home, slot, &mut record.tokens) else {
            return Refreshed::TooManyTokens;
        };
        let issued = self.issue_in(state, now_ms, issue);
        let Some(digest) = answered(&issued, &digest) else {
            return Refreshed::NotIssued(issued);
        };
        match record.tokens.get_mut(place) {
            Some(token) => *token = noted(slot, digest),
            None => record.tokens.push(noted(slot, digest)),
        }
        if replays {
            record.grace_uses += 1;
        } else if let Some(rotate) = rotate {
            record = RefreshFamilyRecord {
                rotated_at: self.write_at(state),
                generation: record.generation,
                sequence: record.sequence + 1,
                grace_uses: 0,
                ends_at: record.ends_at,
                nonce: record.nonce,
                tokens: record.tokens,
                ..rotate.record
            };
            expires_ms = record.ends_at.min(now_ms + rotate.idle_ms);
        }
        let family = LiveFamily {
            locator,
            sequence: record.sequence,
            remaining_ms: expires_ms - now_ms,
        };
        let replayed = replays.then(|| Box::new(record.clone()));
        let position = locator.position;
        state
            .tokens
            .put_family(locator.home, position, Family { record, expires_ms });
        Refreshed::Done {
            issued,
            family,
            replayed,
        }
    }
}
