//! The live tokens in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use tokenbind_proto::index::v1::TokenRecord;

use super::{MemoryIndex, State};
use crate::error::IndexError;
use crate::locator::{Home, Locator, Slot};
use crate::member::Member;
use crate::store::{
    BindingIndex, BindingLimit, Cursor, Issue, IssuePolicy, Issued, LEAST_REUSE_MS, ListedToken, OverLimit, Page,
    Revision, Revoked, Selection,
};
use crate::tracking::Changes;

pub(super) struct Tokens {
    changes: Arc<Changes>,
    live: HashMap<(Home, Slot), Entry>,
    /// Each subject's tokens by end of life, then member: the order in which they are listed.
    lists: HashMap<Home, BTreeSet<(u64, Member)>>,
    /// Every token by end of life, to drop what has ended without looking at what has not.
    ends: BTreeMap<(u64, Home, Slot), Member>,
}

struct Entry {
    record: TokenRecord,
    expires_ms: u64,
}

/// What changes of a slot are told under.
pub(super) fn key(home: Home, slot: Slot) -> [u8; 32] {
    let mut key = [0; 32];
    key[..16].copy_from_slice(home.as_bytes());
    key[16..].copy_from_slice(&slot.0);
    key
}

impl Tokens {
    pub(super) fn new(changes: Arc<Changes>) -> Self {
        Self {
            changes,
            live: HashMap::new(),
            lists: HashMap::new(),
            ends: BTreeMap::new(),
        }
    }

    fn drop_ended(&mut self, now_ms: u64) {
        while let Some((&(expires_ms, home, slot), _)) = self.ends.first_key_value() {
            if expires_ms > now_ms {
                break;
            }
            self.remove(home, slot);
        }
    }

    fn remove(&mut self, home: Home, slot: Slot) -> bool {
        let Some(entry) = self.live.remove(&(home, slot)) else {
            return false;
        };
        self.changes.tell(&key(home, slot));
        if let Some(member) = self.ends.remove(&(entry.expires_ms, home, slot))
            && let Some(list) = self.lists.get_mut(&home)
        {
            list.remove(&(entry.expires_ms, member));
            if list.is_empty() {
                self.lists.remove(&home);
            }
        }
        true
    }

    fn put(&mut self, home: Home, member: Member, record: TokenRecord, expires_ms: u64) {
        let slot = member.slot;
        self.remove(home, slot);
        self.changes.tell(&key(home, slot));
        self.lists.entry(home).or_default().insert((expires_ms, member));
        self.ends.insert((expires_ms, home, slot), member);
        self.live.insert((home, slot), Entry { record, expires_ms });
    }

    fn members(&self, home: Home) -> Vec<Member> {
        self.lists
            .get(&home)
            .map(|list| list.iter().map(|(_, member)| *member).collect())
            .unwrap_or_default()
    }

    /// Makes room for a further binding; `false` when there is none.
    fn make_room(&mut self, home: Home, wanted: &Member, generation: u32, limit: BindingLimit) -> bool {
        let mut last_issued: HashMap<_, Revision> = HashMap::new();
        for member in self.members(home) {
            let other = member.application == wanted.application
                && member.binding != wanted.binding
                && member.binding != crate::BindingTag::UNBOUND;
            let Some(entry) = self.live.get(&(home, member.slot)).filter(|_| other) else {
                continue;
            };
            if entry.record.generation == generation {
                let last = last_issued.entry(member.binding).or_default();
                *last = (*last).max(entry.record.revision);
            }
        }
        let max = usize::try_from(limit.max).unwrap_or(usize::MAX);
        let excess = (last_issued.len() + 1).saturating_sub(max);
        if excess > 0 && limit.over == OverLimit::Reject {
            return false;
        }
        let mut oldest_first: Vec<_> = last_issued.into_iter().map(|(binding, last)| (last, binding)).collect();
        oldest_first.sort_unstable();
        for (_, binding) in oldest_first.into_iter().take(excess) {
            let selection = Selection {
                application: Some(wanted.application),
                binding: Some(binding),
            };
            self.remove_selected(home, &selection);
        }
        true
    }

    fn remove_selected(&mut self, home: Home, selection: &Selection) -> u64 {
        let selected = self
            .members(home)
            .into_iter()
            .filter(|member| member.is_selected(selection));
        selected.map(|member| u64::from(self.remove(home, member.slot))).sum()
    }
}

impl MemoryIndex {
    /// The state as of now, without what has ended.
    fn current(&self) -> (std::sync::MutexGuard<'_, State>, u64) {
        let now_ms = self.clock.now_us() / 1_000;
        let mut state = self.lock();
        state.tokens.drop_ended(now_ms);
        (state, now_ms)
    }
}

#[async_trait]
impl BindingIndex for MemoryIndex {
    async fn issue(&self, issue: Issue) -> Result<Issued, IndexError> {
        let (mut state, now_ms) = self.current();
        let member = Member::of(&issue);
        let Issue {
            home,
            slot,
            mut record,
            policy,
            limit,
            binding: _,
        } = issue;
        let old = state.tokens.live.get(&(home, slot));
        if old.is_some_and(|old| old.record.generation > record.generation) {
            return Ok(Issued::GenerationBehind);
        }
        let live = old.filter(|old| old.record.generation == record.generation);
        if let (Some(live), IssuePolicy::Keep { except }) = (live, policy) {
            let remaining_ms = live.expires_ms.saturating_sub(now_ms);
            if except != Some(live.record.revision) && remaining_ms >= LEAST_REUSE_MS {
                return Ok(Issued::Kept {
                    record: Box::new(live.record.clone()),
                    remaining_ms,
                });
            }
        }
        let superseded = live.is_some();
        if let Some(limit) = limit.filter(|_| member.binding != crate::BindingTag::UNBOUND)
            && !state.tokens.make_room(home, &member, record.generation, limit)
        {
            return Ok(Issued::LimitReached);
        }
        let revision = self.write_at(&mut state);
        record.revision = revision;
        let expires_ms = now_ms + u64::from(record.lifetime_ms);
        state.tokens.put(home, member, record, expires_ms);
        Ok(Issued::New { revision, superseded })
    }

    async fn read(&self, locator: &Locator) -> Result<Option<TokenRecord>, IndexError> {
        let (state, _) = self.current();
        Ok(state
            .tokens
            .live
            .get(&(locator.home, locator.slot))
            .map(|entry| entry.record.clone()))
    }

    async fn revoke_token(&self, home: Home, slot: Slot, record: &TokenRecord) -> Result<Revoked, IndexError> {
        let (mut state, _) = self.current();
        let same = state
            .tokens
            .live
            .get(&(home, slot))
            .is_some_and(|entry| entry.record.digest == record.digest);
        let count = u64::from(same && state.tokens.remove(home, slot));
        Ok(Revoked {
            revision: self.write_at(&mut state),
            count,
        })
    }

    async fn revoke_subject(&self, home: Home, selection: Selection) -> Result<Revoked, IndexError> {
        let (mut state, _) = self.current();
        let count = state.tokens.remove_selected(home, &selection);
        Ok(Revoked {
            revision: self.write_at(&mut state),
            count,
        })
    }

    async fn list(&self, home: Home, after: Option<Cursor>, limit: usize) -> Result<Page, IndexError> {
        let (state, now_ms) = self.current();
        // What was listed of a time that is over has been dropped since: there is nothing to skip.
        let from = after.filter(|after| after.expires_ms > now_ms).unwrap_or(Cursor {
            expires_ms: 0,
            listed: 0,
        });
        let entries: Vec<_> = state.tokens.lists.get(&home).into_iter().flatten().copied().collect();
        let start = entries.partition_point(|(expires_ms, _)| *expires_ms < from.expires_ms);
        let start = start
            .saturating_add(usize::try_from(from.listed).unwrap_or(usize::MAX))
            .min(entries.len());
        let end = start.saturating_add(limit).min(entries.len());
        let tokens = entries[start..end].iter().filter_map(|(_, member)| {
            let entry = state.tokens.live.get(&(home, member.slot))?;
            Some(ListedToken {
                slot: member.slot,
                record: entry.record.clone(),
            })
        });
        let next = (end < entries.len()).then(|| Cursor::after(from, entries[start..end].iter().map(|(end, _)| *end)));
        Ok(Page {
            tokens: tokens.collect(),
            next,
        })
    }

    async fn ping(&self) -> Result<Revision, IndexError> {
        Ok(self.clock.now_us())
    }
}
