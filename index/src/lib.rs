//! The binding index: who holds which live token, and under which binding.
//!
//! The index maps a [`Slot`] to the record of the one live token in it, and a token carries its own [`Locator`]. So issuing
//! is one atomic write, superseding needs no further one, and validating is one read and a comparison of digests. What is
//! missing is not live: whatever the store loses fails closed.
//!
//! [`BindingIndex`] holds the tokens, [`FamilyIndex`] the refresh tokens, [`DocumentStore`] what is declared (applications, users,
//! resources, public keys), [`AttemptCounters`] failed guesses, and [`SingleUse`] what was used up. Two stores implement all of them:
//! [`memory`] for development and as the model that tests compare with, and [`redis`].

mod attempts;
mod binding;
mod checked_text;
mod clock;
mod digest;
mod document;
mod entropy;
mod error;
mod family;
mod locator;
mod member;
pub mod memory;
mod namespace;
pub mod redis;
mod refresh_token;
mod secret;
mod single_use;
mod skew;
mod slot;
mod store;
mod subject;
mod token;
mod tracking;

pub use attempts::{AttemptCounter, AttemptCounters, AttemptKey, AttemptKind, AttemptLimit, Wait};
pub use binding::{ApplicationTag, BindingId, BindingIdTooLong, BindingRef, BindingTag, BindingValue};
pub use clock::{Clock, ManualClock, SystemClock};
pub use document::{Delete, Document, DocumentKind, DocumentStore, Expect, Generation, LostDocuments, Put};
pub use entropy::{Entropy, SystemEntropy};
pub use error::IndexError;
pub use family::{
    Begin, Begun, FamilyIndex, FamilyLocator, FamilyPosition, Grace, ListedFamily, LiveFamily, MAX_FAMILIES,
    MAX_FAMILY_TOKENS, Refresh, Refreshed, Rotate,
};
pub use locator::{Home, Locator, Nonce, Slot};
pub use namespace::{Namespace, NamespaceError};
pub use refresh_token::RefreshToken;
pub use secret::{GeneratedSecret, SecretHash};
pub use single_use::{SingleUse, UseDigest};
pub use skew::{ClockProblem, SkewLimits, UNTRUSTED, WatchedClock, compare_clocks};
pub use slot::SlotDefinition;
pub use store::{
    BindingIndex, BindingLimit, Cursor, Issue, IssuePolicy, Issued, LEAST_REUSE_MS, ListedToken, OverLimit, Page,
    Revision, Revoked, Selection,
};
pub use subject::{EXTERNAL_PREFIX, Subject, USER_PREFIX};
pub use token::{OpaqueToken, TokenDigest, TokenReference};
pub use tracking::{Confirmed, Stamp, Stamped, TrackedIndex};

/// The longest token that is looked at, in bytes.
pub const MAX_TOKEN_BYTES: usize = 8_192;

/// A whole store.
pub trait Store: BindingIndex + FamilyIndex + DocumentStore + SingleUse {}

impl<T: BindingIndex + FamilyIndex + DocumentStore + SingleUse> Store for T {}
