//! From the text of a token to what is known of it.
//!
//! These are facts, never a verdict: nothing here looks at the question that the token came with. A cache belongs around
//! [`FactSource::resolve`], between the digest of a token and its facts.

mod claims;
mod json;
mod jwt;
mod key_set;
mod record;
mod signing_key;

use std::fmt;
use std::sync::Arc;

use prost::Message as _;
use prost_types::Struct;
use thiserror::Error;
use tokenbind_index::{
    BindingRef, Clock, DocumentKind, Generation, IndexError, Locator, MAX_TOKEN_BYTES, OpaqueToken, Revision, Store,
    Subject, TokenDigest,
};
use tokenbind_proto::index::v1::{ApplicationRecord, TokenRecord};
use tokenbind_proto::v1::{BindingType, Reason, TokenFormat};

use crate::verdict::Freshness;
use claims::Claims;
use jwt::UnverifiedJwt;
use key_set::KeySet;

/// What is known of a token that its slot holds.
#[derive(Clone, Debug)]
pub struct TokenFacts {
    /// What it looks like.
    pub format: TokenFormat,
    /// To whom it was issued; empty where it does not say (V4).
    pub client_id: String,
    /// Who it speaks for.
    pub subject: Subject,
    /// What is granted, sorted.
    pub scopes: Vec<String>,
    /// Who may accept it, sorted.
    pub audiences: Vec<String>,
    /// What it is bound to beside its application.
    pub binding: TokenBinding,
    /// The claim `iss` of a JWT.
    pub issuer: Option<String>,
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
    /// What the application maps beside the standard claims.
    pub claims: Struct,
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
    pub token: Arc<TokenFacts>,
    /// Its application, if there is one.
    pub application: Option<ApplicationFacts>,
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

/// Finds the facts of tokens.
pub struct FactSource {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    keys: KeySet,
}

impl fmt::Debug for FactSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FactSource").finish_non_exhaustive()
    }
}

/// What a token says of itself, as far as it can be known without its record.
struct Proven {
    locator: Locator,
    /// What a JWT's signature covers.
    claims: Option<Claims>,
}

impl FactSource {
    /// Facts from the index.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        let keys = KeySet::new(Arc::clone(&store), Arc::clone(&clock));
        Self { store, clock, keys }
    }

    /// What is known of a token. Whatever can be refused cheaply is, before the index is asked.
    ///
    /// # Errors
    /// See [`NoFacts`].
    pub async fn resolve(&self, token: &str) -> Result<Facts, NoFacts> {
        let checked_at_us = self.clock.now_us();
        let refused = |reason, freshness| NoFacts::Refused { reason, freshness };
        let proven = self.prove(token).await?;
        let proven = proven.map_err(|reason| refused(reason, Freshness::of_token(checked_at_us)))?;
        let (record, application) = self.read(&proven).await?;
        let revision = record.as_ref().map_or(0, |record| record.revision);
        let freshness = Freshness::of_index(checked_at_us, revision);
        let facts = record::facts(TokenDigest::of(token), proven, record);
        Ok(Facts {
            token: Arc::new(facts.map_err(|reason| refused(reason, freshness))?),
            application,
            freshness,
        })
    }

    /// The outer error is the index's, which may be needed for the keys; the inner one refuses the token.
    async fn prove(&self, token: &str) -> Result<Result<Proven, Reason>, IndexError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Ok(Err(Reason::TokenMalformed));
        }
        if token.starts_with(OpaqueToken::PREFIX) {
            let proven = OpaqueToken::decode(token).map(|opaque| Proven {
                locator: opaque.locator,
                claims: None,
            });
            return Ok(proven.ok_or(Reason::TokenMalformed));
        }
        let Some(jwt) = UnverifiedJwt::parse(token) else {
            return Ok(Err(Reason::TokenMalformed));
        };
        let Some(key) = self.keys.find(&jwt.kid).await? else {
            return Ok(Err(Reason::SignatureInvalid));
        };
        Ok(jwt.verify(&key).and_then(|claims| self.check_claims(claims)))
    }

    /// What a JWT says of its own time is looked at before the index is asked.
    fn check_claims(&self, claims: Claims) -> Result<Proven, Reason> {
        let now_us = self.clock.now_us();
        if claims.exp.as_micros() <= now_us {
            return Err(Reason::TokenExpired);
        }
        if claims.nbf.is_some_and(|nbf| nbf.as_micros() > now_us) {
            return Err(Reason::TokenNotYetValid);
        }
        Ok(Proven {
            locator: Locator::decode(&claims.jti).ok_or(Reason::TokenMalformed)?,
            claims: Some(claims),
        })
    }

    /// The record of the slot, and the application: of the name that was signed at the same time, and otherwise of the one
    /// in the record.
    async fn read(&self, proven: &Proven) -> Result<(Option<TokenRecord>, Option<ApplicationFacts>), IndexError> {
        if let Some(claims) = &proven.claims {
            return tokio::try_join!(self.store.read(&proven.locator), self.application(claims.client_id()));
        }
        let Some(record) = self.store.read(&proven.locator).await? else {
            return Ok((None, None));
        };
        let application = self.application(&record.client_id).await?;
        Ok((Some(record), application))
    }

    async fn application(&self, client_id: &str) -> Result<Option<ApplicationFacts>, IndexError> {
        if client_id.is_empty() {
            return Ok(None);
        }
        let Some(document) = self.store.document(DocumentKind::Application, client_id).await? else {
            return Ok(None);
        };
        let corrupt = || IndexError::Corrupt(format!("the record of application `{}`", client_id.escape_debug()));
        let record = ApplicationRecord::decode(document.body.as_slice()).map_err(|_| corrupt())?;
        let declared = record.application.ok_or_else(corrupt)?;
        Ok(Some(ApplicationFacts {
            generation: document.generation,
            disabled: declared.disabled,
            enforce_binding: declared.enforce_binding,
        }))
    }
}
