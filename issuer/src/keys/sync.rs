//! Brings the keys of an issuer and what the index says of them together.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokenbind_index::{Delete, Document, DocumentKind, Expect, Put, Revision};

use super::ring::Ring;
use super::shared::{Life, Shared, State};
use crate::application::OUTLIVES_TOKENS_SECONDS;
use crate::context::Issuer;
use crate::error::IssuerError;
use crate::telemetry;

/// Issuers that start together write the same documents.
const ATTEMPTS: usize = 5;
const PAGE: usize = 100;
/// More keys than this are not of one installation. They are not listed, and verifiers of ours need no list.
const MAX_KEYS: usize = 1_000;

/// What is to be done beside what must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renew {
    /// The ends of the published keys are moved on, and what ended is taken back.
    Yes,
    /// Only what is missing is published.
    No,
}

/// What the index says of the keys of a kind.
#[derive(Default)]
struct Stored {
    lives: HashMap<String, Life>,
    withdrawn: HashSet<String>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Synced {
    /// From when on the newest key is used, in seconds since 1970.
    pub(super) newest_from: i64,
    /// The same of the one that is used now.
    pub(super) active_from: i64,
    /// Keys that other issuers have, by name.
    pub(super) lacking: Vec<String>,
    /// Whether the index did not have the key that was in use.
    pub(super) lost: bool,
}

impl Issuer {
    /// Publishes the keys of a ring that may be in use or will be, and uses the newest whose time has come. A key that is superseded is
    /// not renewed: its document ends when nothing that it signed can live any more.
    pub(super) async fn sync<K: Shared>(&self, ring: &Ring<K>, renew: Renew) -> Result<Synced, IssuerError> {
        let now = self.now();
        let Stored { lives, withdrawn } = self.stored::<K>(now).await?;
        self.heed(ring, &withdrawn).await?;
        let held = ring.held();
        // The first keys of an installation, or of an index that lost everything: there is nobody to wait for.
        let wait = if lives.is_empty() {
            Duration::ZERO
        } else {
            self.key_wait
        };
        let new_from = now.saturating_add_unsigned(wait.as_secs());
        let use_from = |key: &K| lives.get(key.id()).map_or(new_from, |life| life.use_from);
        let chosen = held.choose(now, use_from).ok_or(IssuerError::KeysWithdrawn(K::WORD))?;
        // Whoever takes the place of a withdrawn one may have been about to end.
        let (renew_chosen, at_once) = (held.is_bereft(), held.is_bereft().then_some(now));
        let lost = held.in_use().is_some_and(|key| {
            let published = lives.contains_key(key.id()) || held.is_withdrawn(key.id());
            !published
        });
        for key in held.from(chosen.id()) {
            if renew == Renew::Yes || renew_chosen || !lives.contains_key(key.id()) {
                self.publish(key.as_ref(), new_from, at_once).await?;
            }
        }
        if ring.activate(chosen.id()) {
            telemetry::key_in_use(K::WORD, chosen.id());
        }
        let active_from = at_once.unwrap_or_else(|| use_from(chosen));
        telemetry::key_used_since(K::WORD, active_from);
        Ok(Synced {
            newest_from: at_once.unwrap_or_else(|| use_from(held.newest())),
            active_from,
            lacking: lives.into_keys().filter(|id| held.find(id).is_none()).collect(),
            lost,
        })
    }

    /// Does nothing any more with what the index says is withdrawn, and says so again where the index has lost it. Where nothing is left
    /// then, makes another key if this issuer makes keys.
    async fn heed<K: Shared>(&self, ring: &Ring<K>, withdrawn: &HashSet<String>) -> Result<(), IssuerError> {
        for id in ring.withdraw(withdrawn.iter().cloned()) {
            tracing::warn!(
                kind = K::WORD,
                key_id = id,
                "a key was withdrawn: it is not used any more"
            );
        }
        let held = ring.held();
        for id in held.withdrawn().difference(withdrawn) {
            self.bar::<K>(id).await?;
        }
        if held.iter().next().is_some() {
            return Ok(());
        }
        match self.replace(ring).await {
            Err(IssuerError::OnlyOne(_)) => Err(IssuerError::KeysWithdrawn(K::WORD)),
            replaced => replaced,
        }
    }

    /// The live documents of a kind that are of this installation, and what is withdrawn.
    async fn stored<K: Shared>(&self, now: i64) -> Result<Stored, IssuerError> {
        let mut stored = Stored::default();
        for (id, document) in self.documents(K::KIND).await? {
            match K::read(&document.body, &self.issuer_url)? {
                Some(State::Good(life)) if life.expires_at > now => drop(stored.lives.insert(id, life)),
                Some(State::Withdrawn) => drop(stored.withdrawn.insert(id)),
                Some(State::Good(_)) | None => {}
            }
        }
        Ok(stored)
    }

    /// Writes down that a key is withdrawn, also where that stands there already: only what this writes is known to be durable. The
    /// answer is when.
    pub(super) async fn bar<K: Shared>(&self, id: &str) -> Result<Revision, IssuerError> {
        for _ in 0..ATTEMPTS {
            let before = self.store.document(K::KIND, id).await?;
            let expect = before
                .as_ref()
                .map_or(Expect::Absent, |document| Expect::Version(document.version));
            let before = before.as_ref().map(|document| document.body.as_slice());
            let body = K::withdrawn(before, &self.issuer_url, self.now())?;
            match self.store.put_document(K::KIND, id, body, expect).await? {
                Put::Stored { version, .. } => return Ok(version),
                Put::Conflict => {}
            }
        }
        Err(IssuerError::Unavailable(
            "other issuers keep publishing the same key".to_owned(),
        ))
    }

    /// Publishes one key, or moves its end on. `use_from` counts where it is new; `instead` is from when on it is used whatever
    /// was said before.
    pub(super) async fn publish<K: Shared>(
        &self,
        key: &K,
        use_from: i64,
        instead: Option<i64>,
    ) -> Result<(), IssuerError> {
        for _ in 0..ATTEMPTS {
            let now = self.now();
            let mut life = Life {
                use_from,
                expires_at: now + i64::from(OUTLIVES_TOKENS_SECONDS),
            };
            let mut expect = Expect::Absent;
            if let Some(document) = self.store.document(K::KIND, key.id()).await? {
                if let Some(problem) = key.conflict(&document.body, &self.issuer_url)? {
                    return Err(IssuerError::Internal(problem));
                }
                match K::read(&document.body, &self.issuer_url)? {
                    // It comes to be known with the next look.
                    Some(State::Withdrawn) => return Ok(()),
                    Some(State::Good(before)) if before.expires_at > now => {
                        // Another issuer's clock may be ahead: an end is never moved back.
                        life.expires_at = life.expires_at.max(before.expires_at);
                        life.use_from = before.use_from;
                    }
                    Some(State::Good(_)) | None => {}
                }
                expect = Expect::Version(document.version);
            }
            life.use_from = instead.unwrap_or(life.use_from);
            // What is used later lives longer.
            life.expires_at = life.expires_at.max(life.use_from + i64::from(OUTLIVES_TOKENS_SECONDS));
            let body = key.record(&self.issuer_url, life);
            match self.store.put_document(K::KIND, key.id(), body, expect).await? {
                Put::Stored { .. } => return Ok(()),
                Put::Conflict => {}
            }
        }
        Err(IssuerError::Unavailable(
            "other issuers keep publishing the same key".to_owned(),
        ))
    }

    /// Takes back what ended.
    pub(super) async fn drop_expired<K: Shared>(&self) -> Result<(), IssuerError> {
        let now = self.now();
        for (key_id, document) in self.documents(K::KIND).await? {
            let state = K::read(&document.body, &self.issuer_url)?;
            if !matches!(state, Some(State::Good(life)) if life.expires_at <= now) {
                continue;
            }
            let expect = Expect::Version(document.version);
            match self.store.delete_document(K::KIND, &key_id, expect, 0).await? {
                Delete::Deleted => {
                    tracing::info!(kind = K::WORD, key_id, "took back a key that nothing live depends on");
                }
                // Somebody else was faster, or holds the key and moved its end on.
                Delete::Absent | Delete::Conflict => {}
            }
        }
        Ok(())
    }

    pub(super) async fn documents(&self, kind: DocumentKind) -> Result<Vec<(String, Document)>, IssuerError> {
        let mut all: Vec<(String, Document)> = Vec::new();
        while all.len() < MAX_KEYS {
            let after = all.last().map(|(key_id, _)| key_id.clone());
            let page = self.store.documents(kind, after.as_deref(), PAGE).await?;
            let end = page.len() < PAGE;
            all.extend(page);
            if end {
                break;
            }
        }
        Ok(all)
    }

    pub(super) fn now(&self) -> i64 {
        i64::try_from(self.clock.now_seconds()).unwrap_or(i64::MAX)
    }
}
