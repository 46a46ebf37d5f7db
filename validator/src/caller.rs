//! Who may ask: resources, by their own credentials.

use std::sync::Arc;

use secrecy::ExposeSecret as _;
use thiserror::Error;
use tokenbind_index::{Clock, DocumentKind, IndexError, SecretHash, Stamp, TrackedIndex};
use tokenbind_proto::index::v1::SecretDigest;
use tokenbind_runtime::credentials::Credentials;
use tokenbind_runtime::tls::PeerCertificate;

use crate::facts::{Bound, Documents, FactInputs, Moment, Reach};
use crate::question::Consistency;
use crate::remembered::{AuthorizationDigest, GoodCaller, Remembered};
use crate::resource::{Registered, Resource, registered};

/// The longest `resource_id`, in bytes.
pub const MAX_RESOURCE_ID_BYTES: usize = 255;

/// Compared with when there is no resource of the name: its check then does the same work as that of a wrong secret.
const NOBODY: [u8; 32] = [0; 32];

/// Who asks.
#[derive(Clone, Debug)]
pub enum Caller {
    /// A resource that proved who it is, and how fresh what is known of it is.
    Resource(Arc<Resource>, Bound),
    /// Somebody without credentials who counts as the resource of this name. Development only.
    Unauthenticated(Arc<str>),
}

/// What a caller presented.
#[derive(Clone, Debug)]
pub enum PresentedCredentials {
    /// The id and secret of a resource.
    Secret {
        /// Who it says that it is.
        id: String,
        /// The hash of the secret.
        hash: SecretHash,
    },
    /// The id of a resource, and the certificate of the connection.
    Certificate {
        /// Who it says that it is.
        id: String,
        /// What TLS has verified.
        certificate: Arc<PeerCertificate>,
    },
    /// Nothing; it counts as the resource of this name. Development only.
    None(Arc<str>),
}

fn presented(credentials: &Credentials) -> Result<PresentedCredentials, CallerError> {
    match credentials {
        Credentials::Basic { id, secret } if (1..=MAX_RESOURCE_ID_BYTES).contains(&id.len()) => {
            Ok(PresentedCredentials::Secret {
                id: id.clone(),
                hash: SecretHash::of(secret.expose_secret()),
            })
        }
        Credentials::Certificate { id, certificate } if (1..=MAX_RESOURCE_ID_BYTES).contains(&id.len()) => {
            Ok(PresentedCredentials::Certificate {
                id: id.clone(),
                certificate: Arc::clone(certificate),
            })
        }
        _ => Err(CallerError::InvalidClient),
    }
}

/// Why a caller gets no answer.
#[derive(Debug, Error)]
pub enum CallerError {
    /// No credentials, or wrong ones. Which of the two, and what is wrong, is not told.
    #[error("the caller's credentials are missing or wrong")]
    InvalidClient,
    /// It asks for another resource than itself.
    #[error("the caller may ask for itself alone")]
    ForAnother,
    /// The resource that an unauthenticated caller names does not exist.
    #[error("there is no such resource")]
    UnknownResource,
    /// The index could not tell.
    #[error(transparent)]
    Unavailable(#[from] IndexError),
}

/// Tells callers by their credentials.
#[derive(Clone)]
pub struct Callers {
    resources: Arc<Documents<Registered>>,
    tracking: Option<Arc<dyn TrackedIndex>>,
    clock: Arc<dyn Clock>,
    unauthenticated_as: Option<Arc<str>>,
    reach: Arc<Reach>,
    remembered: Arc<Remembered>,
}

impl Callers {
    /// Callers without credentials are refused, unless they are to count as a resource, which is for development only.
    pub fn new(inputs: &FactInputs, unauthenticated_as: Option<String>) -> Self {
        let (store, tracking) = (Arc::clone(&inputs.store), inputs.tracking.clone());
        let resources = Documents::new(DocumentKind::Resource, registered, store, tracking.clone());
        Self {
            resources: Arc::new(resources),
            tracking,
            clock: Arc::clone(&inputs.clock),
            unauthenticated_as: unauthenticated_as.map(Into::into),
            reach: Arc::default(),
            remembered: Arc::new(Remembered::new()),
        }
    }

    /// Whose this value of `authorization` was a moment ago and still is. Nothing is waited for; `None` says only that it
    /// has to be looked at.
    pub(crate) fn recall(&self, authorization: &AuthorizationDigest, moment: Moment) -> Option<Caller> {
        let tracking = self.tracking.as_deref()?;
        let Bound::Kept(confirmed) = moment.bound else {
            return None;
        };
        let known = self.remembered.get(authorization)?;
        let now = i64::try_from(moment.at_us / 1_000_000).unwrap_or(i64::MAX);
        let good = tracking.is_current(&known.stamp) && lives(known.ends_at, now);
        good.then(|| Caller::Resource(Arc::clone(&known.resource), Bound::Kept(confirmed)))
    }

    /// Who calls, by a value of `authorization`.
    pub async fn identify_by(&self, authorization: Option<&[u8]>) -> Result<Caller, CallerError> {
        let moment = Moment::now(self.clock.as_ref(), self.tracking.as_deref());
        self.identify_at(authorization, moment).await
    }

    pub(crate) async fn identify_at(
        &self,
        authorization: Option<&[u8]>,
        moment: Moment,
    ) -> Result<Caller, CallerError> {
        let Some(value) = authorization else {
            return self.identify(None).await;
        };
        let digest = AuthorizationDigest::of(value);
        if let Some(caller) = self.recall(&digest, moment) {
            return Ok(caller);
        }
        let credentials = Credentials::parse(value).map_err(|_| CallerError::InvalidClient)?;
        let shown = self.presented(Some(&credentials))?;
        let caller = Box::pin(self.verify(&shown)).await?;
        Box::pin(self.remember(digest, &shown)).await;
        Ok(caller)
    }

    /// Remembers credentials that are good.
    async fn remember(&self, authorization: AuthorizationDigest, shown: &PresentedCredentials) {
        let PresentedCredentials::Secret { id, hash } = shown else {
            return;
        };
        // Before the resource is looked at: a change that is told from here on makes it old.
        let Some(stamp) = self.resources.current_stamp(id) else {
            return;
        };
        if let Ok((resource, ends_at, Bound::Kept(_))) = self.authenticate_by(id, hash).await {
            let caller = GoodCaller {
                resource,
                stamp,
                ends_at,
            };
            self.remembered.insert(authorization, caller);
        }
    }

    /// Who calls. Credentials that are sent must be right, also where none are needed.
    pub async fn identify(&self, credentials: Option<&Credentials>) -> Result<Caller, CallerError> {
        self.verify(&self.presented(credentials)?).await
    }

    /// Credentials that are to be verified again and again, without the secret itself.
    pub fn presented(&self, credentials: Option<&Credentials>) -> Result<PresentedCredentials, CallerError> {
        match (credentials, &self.unauthenticated_as) {
            (Some(credentials), _) => presented(credentials),
            (None, Some(id)) => Ok(PresentedCredentials::None(Arc::clone(id))),
            (None, None) => Err(CallerError::InvalidClient),
        }
    }

    /// Whose credentials these are now.
    pub async fn verify(&self, presented: &PresentedCredentials) -> Result<Caller, CallerError> {
        match presented {
            PresentedCredentials::Secret { id, hash } => {
                let (resource, _, bound) = self.authenticate_by(id, hash).await?;
                Ok(Caller::Resource(resource, bound))
            }
            PresentedCredentials::Certificate { id, certificate } => {
                let (resource, bound) = self.authenticate_with(id, certificate).await?;
                Ok(Caller::Resource(resource, bound))
            }
            PresentedCredentials::None(id) => Ok(Caller::Unauthenticated(Arc::clone(id))),
        }
    }

    /// The resource whose credentials these are.
    pub async fn authenticate(&self, credentials: Option<&Credentials>) -> Result<Arc<Resource>, CallerError> {
        match presented(credentials.ok_or(CallerError::InvalidClient)?)? {
            PresentedCredentials::Secret { id, hash } => Ok(self.authenticate_by(&id, &hash).await?.0),
            PresentedCredentials::Certificate { id, certificate } => {
                Ok(self.authenticate_with(&id, &certificate).await?.0)
            }
            PresentedCredentials::None(_) => Err(CallerError::InvalidClient),
        }
    }

    /// The resource, when the secret ends (in seconds since 1970; 0 for never), and how fresh that is.
    async fn authenticate_by(
        &self,
        id: &str,
        presented: &SecretHash,
    ) -> Result<(Arc<Resource>, i64, Bound), CallerError> {
        let (found, bound) = self.find(id, Consistency::MinimizeLatency).await?;
        let ends_at = match &found {
            Some(found) => self.matching(presented, &found.secrets),
            None => presented.matches(&NOBODY).then_some(0),
        };
        match (found, ends_at) {
            (Some(found), Some(ends_at)) => Ok((Arc::clone(&found.resource), ends_at, bound)),
            _ => Err(CallerError::InvalidClient),
        }
    }

    /// The resource, if the certificate has its name, and how fresh that is.
    async fn authenticate_with(
        &self,
        id: &str,
        certificate: &PeerCertificate,
    ) -> Result<(Arc<Resource>, Bound), CallerError> {
        let (found, bound) = self.find(id, Consistency::MinimizeLatency).await?;
        let found = found.ok_or(CallerError::InvalidClient)?;
        let name = found.certificate.as_ref();
        let is_named = name.is_some_and(|name| certificate.is(name, self.clock.now_seconds()));
        is_named
            .then(|| (Arc::clone(&found.resource), bound))
            .ok_or(CallerError::InvalidClient)
    }

    /// A resource, or, for want of an index, what it was when the index was last heard, if it allows that itself.
    async fn find(&self, id: &str, consistency: Consistency) -> Result<(Option<Arc<Registered>>, Bound), IndexError> {
        let bound = Bound::confirmed(consistency, self.tracking.as_deref()).await;
        let last_known = || {
            let (found, known) = self.resources.last_known(id)?;
            let allowed = known.age_us <= found.as_ref()?.resource.allow_stale_us();
            allowed.then_some((found, Bound::Kept(known)))
        };
        let minimal = consistency == Consistency::MinimizeLatency;
        if minimal
            && bound == Bound::Now
            && let Some(known) = last_known()
            && self.reach.is_lost(self.clock.monotonic_us())
        {
            return Ok(known);
        }
        match self.resources.get(id, bound).await {
            Err(error @ IndexError::Unavailable(_)) if minimal => {
                self.reach.failed(self.clock.monotonic_us());
                last_known().ok_or(error)
            }
            found => {
                self.reach.answered();
                Ok((found?, bound))
            }
        }
    }

    /// A stamp that turns old with the next change of a resource.
    pub(crate) async fn stamp(&self, resource_id: &str) -> Result<Stamp, IndexError> {
        self.resources.stamp(resource_id).await
    }

    /// The resource that a question is about, as it is kept. `None` where it has to be read, or must not be asked for.
    pub(crate) fn kept(&self, caller: &Caller, named: &str) -> Option<Arc<Resource>> {
        let Caller::Resource(own, _) = caller else {
            return None;
        };
        let found = (named.is_empty() || named == own.id()).then(|| self.resources.kept(own.id()))??;
        found.map(|found| Arc::clone(&found.resource))
    }

    /// The resource that a question is about, where it was just looked up as fresh as the question needs it. `None` where
    /// [`Self::resource`] has to look.
    ///
    /// # Errors
    /// The caller may not ask for it.
    pub(crate) fn own<'a>(
        caller: &'a Caller,
        named: &str,
        consistency: Consistency,
    ) -> Result<Option<&'a Arc<Resource>>, CallerError> {
        match caller {
            Caller::Resource(own, _) if !named.is_empty() && named != own.id() => Err(CallerError::ForAnother),
            Caller::Resource(own, known) => Ok(known.satisfies(consistency).then_some(own)),
            Caller::Unauthenticated(_) => Ok(None),
        }
    }

    /// The resource that a question is about: the caller, or for development whichever it names. It is as fresh as the
    /// answer has to be.
    pub async fn resource(
        &self,
        caller: &Caller,
        named: &str,
        consistency: Consistency,
    ) -> Result<Arc<Resource>, CallerError> {
        if let Some(own) = Self::own(caller, named, consistency)? {
            return Ok(Arc::clone(own));
        }
        let id = match caller {
            Caller::Resource(own, _) => own.id(),
            Caller::Unauthenticated(default) if named.is_empty() => default,
            Caller::Unauthenticated(_) => named,
        };
        self.declared(id, consistency).await
    }

    /// A resource by its name, as fresh as the answer has to be.
    pub(crate) async fn declared(&self, id: &str, consistency: Consistency) -> Result<Arc<Resource>, CallerError> {
        let (found, _) = self.find(id, consistency).await?;
        found
            .map(|found| Arc::clone(&found.resource))
            .ok_or(CallerError::UnknownResource)
    }

    /// When the live secret that was presented ends, if it is one. Every secret is looked at, so that the time does not tell
    /// which one it was.
    fn matching(&self, presented: &SecretHash, secrets: &[SecretDigest]) -> Option<i64> {
        let now = self.now();
        secrets.iter().fold(None, |matched, secret| {
            let matches = presented.matches(&secret.sha256) & lives(secret.expires_at, now);
            if matches { Some(secret.expires_at) } else { matched }
        })
    }

    /// Seconds since 1970.
    fn now(&self) -> i64 {
        i64::try_from(self.clock.now_seconds()).unwrap_or(i64::MAX)
    }
}

fn lives(ends_at: i64, now: i64) -> bool {
    ends_at == 0 || now < ends_at
}
