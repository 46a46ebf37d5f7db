//! A token as it was read.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use tokenbind_index::Stamp;

use super::documents::Kept;
use super::{ApplicationFacts, KeyFacts, TokenFacts};

/// The facts of a token, and, where they may be kept, what says for how long. One piece of memory, because there may be
/// millions.
pub struct KnownToken {
    facts: TokenFacts,
    kept: Option<Keeping>,
}

/// What facts that are kept need.
pub(super) struct Keeping {
    pub(super) application: Arc<Kept<ApplicationFacts>>,
    /// With which it was made.
    pub(super) key: Arc<Kept<KeyFacts>>,
    /// Taken before the facts were read.
    pub(super) stamp: Stamp,
}

impl KnownToken {
    pub(super) fn keeping(facts: TokenFacts, keeping: Keeping) -> Self {
        let kept = Some(keeping);
        Self { facts, kept }
    }

    pub(super) fn kept(&self) -> Option<&Keeping> {
        self.kept.as_ref()
    }
}

/// Facts for one answer.
impl From<TokenFacts> for KnownToken {
    fn from(facts: TokenFacts) -> Self {
        let kept = None;
        Self { facts, kept }
    }
}

impl Deref for KnownToken {
    type Target = TokenFacts;

    fn deref(&self) -> &TokenFacts {
        &self.facts
    }
}

impl fmt::Debug for KnownToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.facts.fmt(f)
    }
}
