//! The trait that holds families of refresh tokens.
//!
//! A family is what comes of one login: refresh tokens one after the other, of which the last is live, and the access tokens
//! that they were used for. It stands among its subject's keys, so a token and its family change in one atomic step, and whatever
//! revokes a subject's tokens reaches its families too.

use async_trait::async_trait;
use tokenbind_proto::index::v1::RefreshFamilyRecord;

use crate::binding::{ApplicationTag, BindingTag};
use crate::error::IndexError;
use crate::locator::{Home, Nonce};
use crate::store::{Issue, Issued, Revision, Revoked};

/// How many families a subject may have in one application under one binding; one more takes the place of the one that was
/// used longest ago.
pub const MAX_FAMILIES: u16 = 16;
/// How many live access tokens of different slots may come of one family.
pub const MAX_FAMILY_TOKENS: usize = 32;

/// Where a family stands among its subject's keys. The subject's list holds it as it is, so both tags can be selected by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FamilyPosition {
    /// To whom it belongs.
    pub application: ApplicationTag,
    /// What it is bound to.
    pub binding: BindingTag,
    /// Which of the families of that application and binding; less than [`MAX_FAMILIES`].
    pub index: u16,
}

impl FamilyPosition {
    /// The length of [`Self::to_bytes`].
    pub const BYTES: usize = 15;

    /// Application, binding and index, one after the other.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..5].copy_from_slice(&self.application.0);
        bytes[5..13].copy_from_slice(&self.binding.0);
        bytes[13..].copy_from_slice(&self.index.to_be_bytes());
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::BYTES] = bytes.try_into().ok()?;
        let (tags, index) = bytes.split_last_chunk()?;
        Some(Self {
            application: ApplicationTag(*tags.first_chunk()?),
            binding: BindingTag(*tags.last_chunk()?),
            index: u16::from_be_bytes(*index),
        })
    }
}

/// Which family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FamilyLocator {
    /// The subject's keys.
    pub home: Home,
    /// The place among them.
    pub position: FamilyPosition,
    /// The family among those that held the place.
    pub nonce: Nonce,
}

/// A family to begin together with an access token.
#[derive(Clone, Debug)]
pub struct Begin {
    /// Tells it apart from those that held its place before.
    pub nonce: Nonce,
    /// What the store does not set itself.
    pub record: RefreshFamilyRecord,
    /// How long it lives at most, in milliseconds.
    pub lifetime_ms: u64,
    /// How long it lives if it is not used, in milliseconds.
    pub idle_ms: u64,
}

/// What became of a [`Begin`].
#[derive(Clone, Debug, PartialEq)]
pub struct Begun {
    /// The access token.
    pub issued: Issued,
    /// The family, whose first refresh token is live; `None` where nothing was issued.
    pub family: Option<LiveFamily>,
}

/// A family after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveFamily {
    /// Which.
    pub locator: FamilyLocator,
    /// Which of its refresh tokens is live.
    pub sequence: u32,
    /// How long that one lives if it is not used, in milliseconds.
    pub remaining_ms: u64,
}

/// For how long and how often a refresh token that was used is answered again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grace {
    /// In milliseconds.
    pub ms: u64,
    /// How often.
    pub uses: u32,
}

/// A refresh token that is used for an access token.
#[derive(Clone, Debug)]
pub struct Refresh {
    /// Its family.
    pub family: FamilyLocator,
    /// Which refresh token of the family.
    pub presented: u32,
    /// `None`: the presented one stays live, and has to be. For an access token that could not be had at the first attempt.
    pub rotate: Option<Rotate>,
}

/// How a refresh token is followed by the next.
#[derive(Clone, Debug)]
pub struct Rotate {
    /// As [`Begin::record`]; it replaces what was stored.
    pub record: RefreshFamilyRecord,
    /// How long the next lives if it is not used, in milliseconds; the family's end stays.
    pub idle_ms: u64,
    /// For whoever comes with the one before.
    pub grace: Grace,
}

/// What became of a [`Refresh`].
#[derive(Clone, Debug, PartialEq)]
pub enum Refreshed {
    /// An access token was issued or kept, and noted in the family.
    Done {
        /// [`Issued::New`] or [`Issued::Kept`].
        issued: Issued,
        /// With the live refresh token.
        family: LiveFamily,
        /// Nothing was rotated: the presented token is the one before, within its grace. What the family holds since it
        /// was rotated.
        replayed: Option<Box<RefreshFamilyRecord>>,
    },
    /// Nothing was changed: [`Issued::LimitReached`] or [`Issued::GenerationBehind`].
    NotIssued(Issued),
    /// There is no such family (any more), or it never had such a token.
    Gone,
    /// The token was used before, beyond its grace: the family was ended with its access tokens.
    Reused(Revoked),
    /// The family has [`MAX_FAMILY_TOKENS`] live access tokens in other slots. Nothing was changed.
    TooManyTokens,
}

/// Holds the families. Each method is one atomic step.
#[async_trait]
pub trait FamilyIndex: Send + Sync + 'static {
    /// Issues an access token as [`BindingIndex::issue`](crate::BindingIndex::issue) does, and begins a family with it, of the
    /// application and binding of its record.
    async fn begin_family(&self, issue: Issue, begin: Begin) -> Result<Begun, IndexError>;

    /// A family's record, of whichever generation; `None` if there is no such family (any more).
    async fn read_family(&self, family: &FamilyLocator) -> Result<Option<RefreshFamilyRecord>, IndexError>;

    /// Issues an access token as [`BindingIndex::issue`](crate::BindingIndex::issue) does, for a refresh token.
    async fn refresh(&self, issue: Issue, refresh: Refresh) -> Result<Refreshed, IndexError>;

    /// Ends a family with its access tokens.
    async fn end_family(&self, family: &FamilyLocator) -> Result<Revoked, IndexError>;

    /// Ends a family with its access tokens, if this refresh token of it was used before, and not within the grace. `None`:
    /// nothing was done.
    async fn end_reused(
        &self,
        family: &FamilyLocator,
        presented: u32,
        grace: Grace,
    ) -> Result<Option<Revoked>, IndexError>;
}

/// What the store says of a family beside its record, in a subject's list.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedFamily {
    /// When it ends if it is not used, in milliseconds since 1970.
    pub expires_ms: u64,
    /// Its record.
    pub record: RefreshFamilyRecord,
}

/// Whether a token that was rotated away at `rotated_at` may be answered once more.
pub(crate) fn is_within_grace(record: &RefreshFamilyRecord, presented: u32, grace: Grace, now_us: Revision) -> bool {
    presented.checked_add(1) == Some(record.sequence)
        && record.grace_uses < grace.uses
        && now_us.saturating_sub(record.rotated_at) < grace.ms.saturating_mul(1_000)
}
