//! From the text of a token to what is known of it.
//!
//! These are facts, never a verdict: nothing here looks at the question that the token came with. So they may be kept, for as
//! long as the index tells what changes.

mod cache;
mod claims;
mod documents;
mod grants;
mod jwt;
mod key;
mod key_set;
mod known;
mod reach;
mod record;
mod signing_key;
mod source;
mod stale;
mod stamps;
mod unproven;

use std::hash::{Hash, Hasher};
use std::mem::size_of;
use std::sync::{Arc, OnceLock};

use prost_types::Struct;
use thiserror::Error;
use tokenbind_index::{BindingRef, Generation, IndexError, Locator, Revision, Subject};
use tokenbind_proto::v1::{Actor, BindingType, Reason, TokenFormat};

use crate::verdict::Freshness;
pub use cache::CacheLimits;
pub use documents::Bound;
pub(crate) use documents::{Documents, Moment};
pub use key::KeyFacts;
pub use known::KnownToken;
pub(crate) use reach::Reach;
pub use source::{FactInputs, FactSource};

/// What many tokens have in common. It is kept once for all of them.
#[derive(Clone, Debug)]
pub struct Grant {
    /// What the tokens look like.
    pub format: TokenFormat,
    /// To whom they were issued; empty where they do not say (V4).
    pub client_id: String,
    /// What is granted, sorted.
    pub scopes: Vec<String>,
    /// Who may accept them, sorted.
    pub audiences: Vec<String>,
    /// The claim `iss` of JWTs.
    pub issuer: Option<String>,
    /// What a transport writes of it, made when it is first needed.
    pub(crate) written: OnceLock<Box<[u8]>>,
}

impl Grant {
    /// What a transport writes of it, the same for every token.
    pub(crate) fn written(&self, write: fn(&Self) -> Box<[u8]>) -> &[u8] {
        self.written.get_or_init(|| write(self))
    }

    /// Everything that tells two apart.
    fn parts(&self) -> (TokenFormat, &str, &[String], &[String], Option<&str>) {
        let Self {
            format,
            client_id,
            scopes,
            audiences,
            issuer,
            written: _,
        } = self;
        (*format, client_id, scopes, audiences, issuer.as_deref())
    }
}

impl PartialEq for Grant {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Grant {}

impl Hash for Grant {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

/// What is known of a token that its slot holds.
#[derive(Clone, Debug)]
pub struct TokenFacts {
    /// What it shares with others.
    pub grant: Arc<Grant>,
    /// Who it speaks for.
    pub subject: Subject,
    /// What it is bound to beside its application.
    pub binding: TokenBinding,
    /// Where it is in the index, and which one it is.
    pub locator: Locator,
    /// When it was issued, in microseconds since 1970.
    pub issued_at_us: u64,
    /// From when on it is good, in microseconds since 1970.
    pub not_before_us: u64,
    /// When it ends as it says itself, in microseconds since 1970.
    pub expires_at_us: u64,
    /// When its record ends, in microseconds since 1970.
    pub record_ends_at_us: u64,
    /// Of its record.
    pub revision: Revision,
    /// Of its application, when it was issued.
    pub generation: Generation,
    /// What the application maps beside the standard claims, if it maps any.
    pub claims: Option<Box<Struct>>,
    /// Who acts for the subject, where it is somebody else.
    pub act: Option<Box<Actor>>,
}

/// What keeping a token costs beside its facts: its place in the table, its stamp, and what allocating rounds up to.
const KEPT_OVERHEAD: usize = 160;

impl TokenFacts {
    /// When it or its record ends, in microseconds since 1970, whichever is first.
    pub fn ends_at_us(&self) -> u64 {
        self.expires_at_us.min(self.record_ends_at_us)
    }

    /// Roughly how much memory they take, in bytes.
    fn bytes(&self) -> u64 {
        use prost::Message as _;
        let name = match &self.subject {
            Subject::User(name) | Subject::Application(name) | Subject::External(name) => name.len(),
        };
        let claims = self.claims.as_ref().map_or(0, |claims| 4 * claims.encoded_len());
        let act = self.act.as_ref().map_or(0, |act| 4 * act.encoded_len());
        let bytes = size_of::<Self>() + name + claims + act + KEPT_OVERHEAD;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

/// What a token is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenBinding {
    /// Its application alone.
    None,
    /// A `token_binding_id`.
    ClientRequest(BindingRef),
    /// A client certificate (RFC 8705).
    Certificate {
        /// What tokens and answers call it.
        reference: BindingRef,
        /// SHA-256 of the certificate.
        sha256: [u8; 32],
    },
    /// Something that this version cannot prove, of this type. It satisfies no request.
    Unprovable(BindingType),
}

impl TokenBinding {
    /// How it binds.
    pub fn binding_type(&self) -> BindingType {
        match self {
            Self::None => BindingType::None,
            Self::ClientRequest(_) => BindingType::ClientRequest,
            Self::Certificate { .. } => BindingType::Certificate,
            Self::Unprovable(binding_type) => *binding_type,
        }
    }

    /// What tokens and answers call it.
    pub fn reference(&self) -> Option<&BindingRef> {
        match self {
            Self::ClientRequest(reference) | Self::Certificate { reference, .. } => Some(reference),
            Self::None | Self::Unprovable(_) => None,
        }
    }
}

/// What matters of an application to the tokens that were issued to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApplicationFacts {
    /// Tokens of an earlier one are dead (R4).
    pub generation: Generation,
    /// Its live tokens are refused.
    pub disabled: bool,
    /// A bound token is refused where its binding is not presented.
    pub enforce_binding: bool,
}

/// A token that its slot holds, and its application.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The token.
    pub token: Arc<KnownToken>,
    /// Its application, if there is one.
    pub application: Option<ApplicationFacts>,
    /// The key that it was made with, if it is published.
    pub key: Option<KeyFacts>,
    /// How they are known.
    pub freshness: Freshness,
}

/// Why there are no facts.
#[derive(Clone, Debug, Error)]
pub enum NoFacts {
    /// The token is none, or its slot does not hold it.
    #[error("the token is refused: {reason:?}")]
    Refused {
        /// Why.
        reason: Reason,
        /// How that is known.
        freshness: Freshness,
    },
    /// The index could not tell.
    #[error(transparent)]
    Unavailable(#[from] IndexError),
}
