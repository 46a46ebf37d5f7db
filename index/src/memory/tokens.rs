//! The live tokens in memory.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use tokenbind_proto::index::v1::TokenRecord;

use super::families::Family;
use super::{MemoryIndex, State};
use crate::error::IndexError;
use crate::family::{FamilyPosition, ListedFamily};
use crate::locator::{Home, Locator, Slot};
use crate::member::{Listed, Member};
use crate::store::{
    BindingIndex, BindingLimit, Cursor, Issue, IssuePolicy, Issued, LEAST_REUSE_MS, ListedToken, OverLimit, Page,
    Revision, Revoked, Selection,
};
use crate::tracking::Changes;

pub(super) struct Tokens {
    changes: Arc<Changes>,
    pub(super) live: HashMap<(Home, Slot), Entry>,
    pub(super) families: HashMap<(Home, FamilyPosition), Family>,
    /// Each subject's tokens and families by end of life: the order in which they are listed.
    pub(super) lists: HashMap<Home, BTreeSet<(u64, Listed)>>,
    /// Every one by end of life, to drop what has ended without looking at what has not.
    pub(super) ends: BTreeSet<(u64, Home, Listed)>,
}

pub(super) struct Entry {
    pub(super) record: TokenRecord,
    member: Member,
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
            families: HashMap::new(),
            lists: HashMap::new(),
            ends: BTreeSet::new(),
        }
    }

    fn drop_ended(&mut self, now_ms: u64) {
        while let Some(&(expires_ms, home, listed)) = self.ends.first() {
            if expires_ms > now_ms {
                break;
            }
            self.remove_listed(home, listed);
        }
    }

    fn remove_listed(&mut self, home: Home, listed: Listed) -> bool {
        match listed {
            Listed::Token(member) => self.remove(home, member.slot),
            Listed::Family(position) => self.remove_family(home, position),
        }
    }

    pub(super) fn remove(&mut self, home: Home, slot: Slot) -> bool {
        let Some(entry) = self.live.remove(&(home, slot)) else {
            return false;
        };
        self.changes.tell(&key(home, slot));
        self.unlist(home, entry.expires_ms, Listed::Token(entry.member));
        true
    }

    pub(super) fn list(&mut self, home: Home, expires_ms: u64, listed: Listed) {
        self.lists.entry(home).or_default().insert((expires_ms, listed));
        self.ends.insert((expires_ms, home, listed));
    }

    pub(super) fn unlist(&mut self, home: Home, expires_ms: u64, listed: Listed) {
        self.ends.remove(&(expires_ms, home, listed));
        if let Some(list) = self.lists.get_mut(&home) {
            list.remove(&(expires_ms, listed));
            if list.is_empty() {
                self.lists.remove(&home);
            }
        }
    }

    fn put(&mut self, home: Home, member: Member, record: TokenRecord, expires_ms: u64) {
        let slot = member.slot;
        self.remove(home, slot);
        self.changes.tell(&key(home, slot));
        self.list(home, expires_ms, Listed::Token(member));
        let entry = Entry {
            record,
            member,
            expires_ms,
        };
        self.live.insert((home, slot), entry);
    }

    fn listed(&self, home: Home) -> Vec<Listed> {
        self.lists
            .get(&home)
            .map(|list| list.iter().map(|(_, listed)| *listed).collect())
            .unwrap_or_default()
    }

    /// When it was last issued, if it is of that generation.
    fn last_issued(&self, home: Home, listed: Listed, generation: u32) -> Option<Revision> {
        let (at, found) = match listed {
            Listed::Token(member) => {
                let record = &self.live.get(&(home, member.slot))?.record;
                (record.revision, record.generation)
            }
            Listed::Family(position) => {
                let record = &self.families.get(&(home, position))?.record;
                (record.rotated_at, record.generation)
            }
        };
        (found == generation).then_some(at)
    }

    /// Makes room for a further binding; `false` when there is none.
    fn make_room(&mut self, home: Home, wanted: &Member, generation: u32, limit: BindingLimit) -> bool {
        let mut last_issued: HashMap<_, Revision> = HashMap::new();
        for listed in self.listed(home) {
            let (application, binding) = listed.tags();
            let other =
                application == wanted.application && binding != wanted.binding && binding != crate::BindingTag::UNBOUND;
            if let Some(at) = self.last_issued(home, listed, generation).filter(|_| other) {
                let last = last_issued.entry(binding).or_default();
                *last = (*last).max(at);
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
            .listed(home)
            .into_iter()
            .filter(|listed| listed.is_selected(selection));
        selected.map(|listed| u64::from(self.remove_listed(home, listed))).sum()
    }
}

impl MemoryIndex {
    /// The state as of now, without what has ended.
    pub(super) fn current(&self) -> (std::sync::MutexGuard<'_, State>, u64) {
        let now_ms = self.clock.now_us() / 1_000;
        let mut state = self.lock();
        state.tokens.drop_ended(now_ms);
        (state, now_ms)
    }

    pub(super) fn issue_in(&self, state: &mut State, now_ms: u64, issue: Issue) -> Issued {
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
        if let IssuePolicy::ReplaceOnly(digest) = policy
            && !old.is_some_and(|old| old.record.generation == record.generation && old.record.digest == digest.0)
        {
            return Issued::Gone;
        }
        if old.is_some_and(|old| old.record.generation > record.generation) {
            return Issued::GenerationBehind;
        }
        let live = old.filter(|old| old.record.generation == record.generation);
        if let (Some(live), IssuePolicy::Keep { except }) = (live, policy) {
            let remaining_ms = live.expires_ms.saturating_sub(now_ms);
            if except != Some(live.record.revision) && remaining_ms >= LEAST_REUSE_MS {
                return Issued::Kept {
                    record: Box::new(live.record.clone()),
                    remaining_ms,
                };
            }
        }
        let superseded = live.is_some();
        if let Some(limit) = limit.filter(|_| member.binding != crate::BindingTag::UNBOUND)
            && !state.tokens.make_room(home, &member, record.generation, limit)
        {
            return Issued::LimitReached;
        }
        let revision = self.write_at(state);
        record.revision = revision;
        let expires_ms = now_ms + u64::from(record.lifetime_ms);
        state.tokens.put(home, member, record, expires_ms);
        Issued::New { revision, superseded }
    }
}

#[async_trait]
impl BindingIndex for MemoryIndex {
    async fn issue(&self, issue: Issue) -> Result<Issued, IndexError> {
        let (mut state, now_ms) = self.current();
        Ok(self.issue_in(&mut state, now_ms, issue))
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
        let (mut tokens, mut families) = (Vec::new(), Vec::new());
        for (expires_ms, listed) in &entries[start..end] {
            match listed {
                Listed::Token(Member { slot, .. }) => {
                    tokens.extend(state.tokens.live.get(&(home, *slot)).map(|entry| ListedToken {
                        slot: *slot,
                        record: entry.record.clone(),
                    }));
                }
                Listed::Family(position) => {
                    families.extend(
                        state
                            .tokens
                            .families
                            .get(&(home, *position))
                            .map(|family| ListedFamily {
                                expires_ms: *expires_ms,
                                record: family.record.clone(),
                            }),
                    );
                }
            }
        }
        let next = (end < entries.len()).then(|| Cursor::after(from, entries[start..end].iter().map(|(end, _)| *end)));
        Ok(Page { tokens, families, next })
    }

    async fn ping(&self) -> Result<Revision, IndexError> {
        Ok(self.clock.now_us())
    }
}
