//! The trait that holds the live tokens.

use async_trait::async_trait;
use tokenbind_proto::index::v1::TokenRecord;

use crate::binding::{ApplicationTag, BindingTag};
use crate::error::IndexError;
use crate::family::ListedFamily;
use crate::locator::{Home, Locator, Slot};
use crate::token::TokenDigest;

/// A live opaque token is answered again only with at least this much left, in milliseconds (S15).
pub const LEAST_REUSE_MS: u64 = 1_000;

/// The instant of a write by the store's clock, in microseconds since 1970.
pub type Revision = u64;

/// A record to put in a slot, and how.
#[derive(Clone, Debug)]
pub struct Issue {
    /// The subject's keys.
    pub home: Home,
    /// The slot among them.
    pub slot: Slot,
    /// The record; the store sets its `revision`.
    pub record: TokenRecord,
    /// What the subject's list files the token under, beside its application.
    pub binding: BindingTag,
    /// What happens to a live token of the slot.
    pub policy: IssuePolicy,
    /// How many bindings the subject may have in this application.
    pub limit: Option<BindingLimit>,
}

/// What happens to a live token of the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssuePolicy {
    /// It dies (jwt: S2, S3).
    Replace,
    /// It dies, if it is the one with this digest; if there is none, or another, nothing is done.
    ReplaceOnly(TokenDigest),
    /// It is answered again, if [`LEAST_REUSE_MS`] are left (opaque: S5, S7, S15).
    Keep {
        /// The revision of a record that is replaced all the same, because its token cannot be derived again.
        except: Option<Revision>,
    },
}

/// A cap on the live bindings of one subject in one application (S16): those that have a live token or family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindingLimit {
    /// At least 1.
    pub max: u32,
    /// What happens to one more.
    pub over: OverLimit,
}

/// What happens to a binding over the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverLimit {
    /// It is refused.
    Reject,
    /// The binding whose last token was issued longest ago loses its tokens.
    EvictOldest,
}

/// What became of an [`Issue`].
#[derive(Clone, Debug, PartialEq)]
pub enum Issued {
    /// The record is in the slot.
    New {
        /// When.
        revision: Revision,
        /// A live token was in the slot.
        superseded: bool,
    },
    /// The live token of the slot stays.
    Kept {
        /// Its record.
        record: Box<TokenRecord>,
        /// How long it still lives, in milliseconds; at least [`LEAST_REUSE_MS`].
        remaining_ms: u64,
    },
    /// The subject has as many bindings as it may; nothing was changed.
    LimitReached,
    /// The slot holds a token of a later generation of the application: the caller's knowledge of it is old. Nothing was
    /// changed.
    GenerationBehind,
    /// The only token that could be replaced is not in the slot (any more); nothing was changed.
    Gone,
}

/// Which tokens of a subject to revoke. Both fields empty: all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only those issued to this application.
    pub application: Option<ApplicationTag>,
    /// Only those under this binding.
    pub binding: Option<BindingTag>,
}

/// What a revocation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// When it was done: whoever reads at or after this sees none of the tokens.
    pub revision: Revision,
    /// How many tokens and families died.
    pub count: u64,
}

/// Where a page of a subject's list ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The end of life that the last entry stands under, in milliseconds since 1970.
    pub expires_ms: u64,
    /// How many entries with that end were already listed.
    pub listed: u64,
}

/// A token of a subject.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedToken {
    /// Its slot.
    pub slot: Slot,
    /// Its record.
    pub record: TokenRecord,
}

/// A part of a subject's list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// Those that end first first, but for a sixteenth of a lifetime. May be fewer than asked although more follow.
    pub tokens: Vec<ListedToken>,
    /// The families among them, likewise.
    pub families: Vec<ListedFamily>,
    /// Where to go on; `None` at the end.
    pub next: Option<Cursor>,
}

/// Holds the live tokens. Each method is one atomic step unless it says otherwise.
///
/// The store's clock alone decides when a record ends: `lifetime_ms` after its `revision`.
#[async_trait]
pub trait BindingIndex: Send + Sync + 'static {
    /// Puts a record in its slot, or answers the one that stays there. An error leaves what was there, or, when the answer
    /// was lost, may have done all of it; never a part.
    async fn issue(&self, issue: Issue) -> Result<Issued, IndexError>;

    /// The live record in a token's slot, whichever token it is of: compare its digest.
    async fn read(&self, locator: &Locator) -> Result<Option<TokenRecord>, IndexError>;

    /// Empties the slot, if it still holds the token of this record (R1, R5).
    async fn revoke_token(&self, home: Home, slot: Slot, record: &TokenRecord) -> Result<Revoked, IndexError>;

    /// Empties every slot of a subject that the selection names, and ends every family (R2, R3). A subject with thousands of
    /// slots is worked off in several atomic steps, so that no other caller of the store waits long: a token issued meanwhile
    /// may survive, one that was live when the call began does not, nor what a family that was is refreshed for meanwhile.
    /// After an error some may be revoked; calling again is safe.
    async fn revoke_subject(&self, home: Home, selection: Selection) -> Result<Revoked, IndexError>;

    /// A subject's live tokens and families (R8); at most `limit` of them, from `after` on.
    async fn list(&self, home: Home, after: Option<Cursor>, limit: usize) -> Result<Page, IndexError>;

    /// The store's clock, in microseconds since 1970. Also tells that the store answers.
    async fn ping(&self) -> Result<Revision, IndexError>;

    /// The same as [`Self::ping`] once everything of a subject that was revoked before is as durable as a revocation has to be
    /// (R6): for whoever finds that there is nothing left to revoke, perhaps because an attempt before was done and not
    /// acknowledged.
    async fn settle(&self, _home: Home) -> Result<Revision, IndexError> {
        self.ping().await
    }
}

impl Cursor {
    /// The cursor behind a page that began at `from` and whose entries end at `ends`, ascending.
    pub(crate) fn after(from: Self, ends: impl DoubleEndedIterator<Item = u64> + Clone) -> Self {
        let Some(last) = ends.clone().next_back() else {
            return from;
        };
        let same = u64::try_from(ends.rev().take_while(|end| *end == last).count()).unwrap_or(u64::MAX);
        let before = if last == from.expires_ms { from.listed } else { 0 };
        Self {
            expires_ms: last,
            listed: before + same,
        }
    }
}
