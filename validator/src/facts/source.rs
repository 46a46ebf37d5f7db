//! Where facts come from: the cache, or the index.

use std::fmt;
use std::sync::Arc;

use prost::Message as _;
use tokenbind_index::{
    Clock, Document, DocumentKind, IndexError, Locator, MAX_TOKEN_BYTES, OpaqueToken, Revision, Stamped, Store,
    TokenDigest, TrackedIndex, UNTRUSTED, compare_clocks,
};
use tokenbind_proto::index::v1::{ApplicationRecord, TokenRecord};
use tokenbind_proto::v1::{Reason, TokenFormat};
use tokenbind_runtime::metrics;

use super::cache::{CacheLimits, FactCache, Found, Vacancy};
use super::claims::Claims;
use super::documents::{Bound, Documents, Moment};
use super::grants::Grants;
use super::jwt::UnverifiedJwt;
use super::key::Keys;
use super::key_set::KeySet;
use super::known::{Keeping, KnownToken};
use super::reach::Reach;
use super::unproven::UnprovenReads;
use super::{ApplicationFacts, Facts, NoFacts, record};
use crate::question::Consistency;
use crate::verdict::Freshness;

/// What facts are made from, and how many are kept.
#[derive(Clone)]
pub struct FactInputs {
    /// The index.
    pub store: Arc<dyn Store>,
    /// What tells its changes. Without it nothing is kept, and each question reads the index.
    pub tracking: Option<Arc<dyn TrackedIndex>>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// How much may be kept.
    pub limits: CacheLimits,
}

impl FactInputs {
    /// Ready is who can read the index and hears what changes in it.
    pub(crate) async fn probe(&self) -> Result<(), String> {
        let compared = compare_clocks(self.store.as_ref(), self.clock.as_ref()).await;
        metrics::clock_skew(self.clock.skew_us());
        compared.map_err(|error| error.to_string())?;
        match &self.tracking {
            Some(tracking) if tracking.confirmed().is_none() => Err("changes of the index are not heard".to_owned()),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for FactInputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FactInputs")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Finds the facts of tokens.
pub struct FactSource {
    store: Arc<dyn Store>,
    unproven: UnprovenReads,
    pub(super) tracking: Option<Arc<dyn TrackedIndex>>,
    pub(super) clock: Arc<dyn Clock>,
    key_set: KeySet,
    pub(super) keys: Keys,
    grants: Grants,
    pub(super) applications: Documents<ApplicationFacts>,
    pub(super) cache: Option<FactCache>,
    pub(super) reach: Reach,
}

impl fmt::Debug for FactSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FactSource").finish_non_exhaustive()
    }
}

/// What a token says of itself, as far as it can be known without its record.
pub(super) struct Proven {
    pub(super) locator: Locator,
    /// What a JWT's signature covers.
    pub(super) signed: Option<Signed>,
}

/// What a key has signed.
pub(super) struct Signed {
    pub(super) claims: Claims,
    pub(super) kid: String,
}

impl FactSource {
    /// Facts from the index.
    pub fn new(inputs: FactInputs) -> Self {
        let keys = Keys::new(&inputs);
        let FactInputs {
            store,
            tracking,
            clock,
            limits,
        } = inputs;
        let cache = tracking
            .clone()
            .and_then(|tracking| FactCache::new(tracking, Arc::clone(&clock), limits));
        Self {
            grants: Grants::new(),
            key_set: KeySet::new(Arc::clone(&store), Arc::clone(&clock)),
            keys,
            applications: Documents::new(
                DocumentKind::Application,
                application,
                Arc::clone(&store),
                tracking.clone(),
            ),
            unproven: UnprovenReads::new(Arc::clone(&store)),
            cache,
            reach: Reach::default(),
            store,
            tracking,
            clock,
        }
    }

    /// What is kept of a token, if that is fresh enough. Nothing is waited for.
    pub(crate) fn kept(&self, token: &str, consistency: Consistency, moment: Moment) -> Option<Facts> {
        if token.len() > MAX_TOKEN_BYTES || moment.bound == Bound::Now || !self.clock.is_trusted() {
            return None;
        }
        let token = self.cache.as_ref()?.current(&TokenDigest::of(token))?;
        let application = if token.grant.client_id.is_empty() {
            None
        } else {
            let application = &token.kept()?.application;
            self.applications.kept_part(application, |application| *application)?
        };
        Some(Facts {
            application,
            key: self.keys.kept(&token)?,
            freshness: moment.freshness(token.revision, consistency)?,
            token,
        })
    }

    /// The present, for one call.
    pub(crate) fn moment(&self) -> Moment {
        Moment::now(self.clock.as_ref(), self.tracking.as_deref())
    }

    /// The present as a question wants it.
    pub(crate) async fn moment_for(&self, consistency: Consistency) -> Moment {
        Moment::of(consistency, self.clock.as_ref(), self.tracking.as_deref()).await
    }

    /// What is known of a token, as fresh as it has to be. Whatever can be refused cheaply is, before the index is asked.
    ///
    /// # Errors
    /// See [`NoFacts`].
    pub async fn resolve(&self, token: &str, consistency: Consistency) -> Result<Facts, NoFacts> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(self.refused_by_token(Reason::TokenMalformed));
        }
        if !self.clock.is_trusted() {
            return Err(NoFacts::Unavailable(IndexError::Unavailable(UNTRUSTED.to_owned())));
        }
        let digest = TokenDigest::of(token);
        // Before it is known how old what is kept is, and before anything is waited for: an answer that took long is no
        // fresher for it.
        let moment = self.moment_for(consistency).await;
        let bound = moment.bound;
        let Some(cache) = self.cache.as_ref().filter(|_| bound != Bound::Now) else {
            return self.read_now(token, digest).await;
        };
        let kept = |revision| {
            let freshness = moment.freshness(revision, consistency);
            freshness.unwrap_or_else(|| Freshness::of_index(moment.at_us, revision))
        };
        match cache.find(&digest).await {
            Found::Live(token) => Ok(Facts {
                application: self.application_of(&token, bound).await?,
                key: self.keys.get(&token, bound).await?,
                freshness: kept(token.revision),
                token,
            }),
            Found::Refused(reason) => Err(NoFacts::Refused {
                reason,
                freshness: kept(0),
            }),
            Found::Missing(vacancy) => self.fill(token, digest, bound, vacancy).await,
            Found::Unheard => self.read_now(token, digest).await,
        }
    }

    /// Reads the index for an answer that must be of now; nothing is kept.
    async fn read_now(&self, token: &str, digest: TokenDigest) -> Result<Facts, NoFacts> {
        let checked_at_us = self.clock.now_us();
        let proven = self.prove(token).await?;
        let (record, application, key) = match &proven.signed {
            // The name that was signed, so that all are read at the same time; the record has to agree with it.
            Some(Signed { claims, kid }) => tokio::try_join!(
                self.store.read(&proven.locator),
                self.application_now(claims.client_id()),
                self.keys.now(TokenFormat::Jwt, kid),
            )?,
            None => match self.unproven.read(&proven.locator).await? {
                Some(record) => {
                    let (application, key) = tokio::try_join!(
                        self.application_now(&record.client_id),
                        self.keys.now(TokenFormat::Opaque, &record.opaque_key_id),
                    )?;
                    (Some(record), application, key)
                }
                None => (None, None, None),
            },
        };
        let freshness = Freshness::of_index(checked_at_us, record.as_ref().map_or(0, |record| record.revision));
        let locator = proven.locator;
        let token = record::facts(digest, proven, record, &self.grants).map_err(|reason| {
            // What is kept, or being read, may be from before: it must not outlive this answer.
            if let Some(tracking) = &self.tracking {
                tracking.learned_token(&locator);
            }
            NoFacts::Refused { reason, freshness }
        })?;
        Ok(Facts {
            token: Arc::new(token.into()),
            application,
            key,
            freshness,
        })
    }

    /// Reads the index where it tells what changes, and keeps what it says.
    async fn fill(
        &self,
        token: &str,
        digest: TokenDigest,
        bound: Bound,
        vacancy: Vacancy<'_>,
    ) -> Result<Facts, NoFacts> {
        let checked_at_us = self.clock.now_us();
        let proven = self.prove(token).await?;
        if proven.signed.is_none()
            && let Err((reason, revision)) = self.look(digest, &proven).await?
        {
            vacancy.refuse(reason);
            let freshness = Freshness::of_index(checked_at_us, revision);
            return Err(NoFacts::Refused { reason, freshness });
        }
        let Some(read) = self.read_tracked(&proven.locator).await? else {
            drop(vacancy);
            return self.read_now(token, digest).await;
        };
        let revision = read.value.as_ref().map_or(0, |record| record.revision);
        let freshness = Freshness::of_index(checked_at_us, revision);
        let key = self.keys.handle(proven.format(), &proven.key_id(read.value.as_ref()));
        let token = match record::facts(digest, proven, read.value, &self.grants) {
            Ok(token) => token,
            Err(reason) => {
                vacancy.refuse(reason);
                return Err(NoFacts::Refused { reason, freshness });
            }
        };
        let keeping = Keeping {
            application: self.applications.handle(&token.grant.client_id),
            key,
            stamp: read.stamp,
        };
        let token = Arc::new(KnownToken::keeping(token, keeping));
        vacancy.fill(Arc::clone(&token));
        Ok(Facts {
            application: self.application_of(&token, bound).await?,
            key: self.keys.get(&token, bound).await?,
            token,
            freshness,
        })
    }

    /// Whether the token was issued at all, or why not and by which revision. The index tells the changes of what is issued
    /// alone: it has to remember whatever it tells of.
    async fn look(&self, digest: TokenDigest, proven: &Proven) -> Result<Result<(), (Reason, Revision)>, IndexError> {
        let record = self.unproven.read(&proven.locator).await?;
        let revision = record.as_ref().map_or(0, |record| record.revision);
        let found = record::of_this_token(digest, &proven.locator, proven.signed.is_none(), record);
        Ok(found.map(drop).map_err(|reason| (reason, revision)))
    }

    /// `None` where changes are not being told; the other connection may do better.
    async fn read_tracked(&self, locator: &Locator) -> Result<Option<Stamped<Option<TokenRecord>>>, IndexError> {
        let Some(tracking) = &self.tracking else {
            return Ok(None);
        };
        match tracking.read_tracked(locator).await {
            Ok(read) => Ok(Some(read)),
            Err(IndexError::Unavailable(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn application_of(&self, token: &KnownToken, bound: Bound) -> Result<Option<ApplicationFacts>, IndexError> {
        match token.kept() {
            Some(keeping) if !token.grant.client_id.is_empty() => {
                let copied = |application: &ApplicationFacts| *application;
                self.applications.part_of(&keeping.application, bound, copied).await
            }
            _ => Ok(None),
        }
    }

    async fn application_now(&self, client_id: &str) -> Result<Option<ApplicationFacts>, IndexError> {
        if client_id.is_empty() {
            return Ok(None);
        }
        let application = self.applications.get(client_id, Bound::Now).await?;
        Ok(application.as_deref().copied())
    }

    /// What the token proves by itself, before the index is asked.
    async fn prove(&self, token: &str) -> Result<Proven, NoFacts> {
        if token.starts_with(OpaqueToken::PREFIX) {
            let opaque = OpaqueToken::decode(token).ok_or_else(|| self.refused_by_token(Reason::TokenMalformed))?;
            return Ok(Proven {
                locator: opaque.locator,
                signed: None,
            });
        }
        let jwt = UnverifiedJwt::parse(token).ok_or_else(|| self.refused_by_token(Reason::TokenMalformed))?;
        let key = self.key_set.find(&jwt.kid).await?;
        let key = key.ok_or_else(|| self.refused_by_token(Reason::SignatureInvalid))?;
        let proven = jwt.verify(&key).and_then(|claims| self.check_claims(claims, jwt.kid));
        proven.map_err(|reason| self.refused_by_token(reason))
    }

    fn refused_by_token(&self, reason: Reason) -> NoFacts {
        let freshness = Freshness::of_token(self.clock.now_us());
        NoFacts::Refused { reason, freshness }
    }

    /// What a JWT says of its own time is looked at before the index is asked.
    fn check_claims(&self, claims: Claims, kid: String) -> Result<Proven, Reason> {
        let now_us = self.clock.now_us();
        if claims.exp.as_micros() <= now_us {
            return Err(Reason::TokenExpired);
        }
        if claims.nbf.is_some_and(|nbf| nbf.as_micros() > now_us) {
            return Err(Reason::TokenNotYetValid);
        }
        Ok(Proven {
            locator: Locator::decode(&claims.jti).ok_or(Reason::TokenMalformed)?,
            signed: Some(Signed { claims, kid }),
        })
    }
}

/// What matters of an application's document.
fn application(client_id: &str, document: &Document) -> Result<ApplicationFacts, IndexError> {
    let corrupt = || IndexError::Corrupt(format!("the record of application `{}`", client_id.escape_debug()));
    let record = ApplicationRecord::decode(document.body.as_slice()).map_err(|_| corrupt())?;
    let declared = record.application.ok_or_else(corrupt)?;
    Ok(ApplicationFacts {
        generation: document.generation,
        disabled: declared.disabled,
        enforce_binding: declared.enforce_binding,
    })
}
