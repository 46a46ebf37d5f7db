//! Who may ask: resources, by their own credentials.

use std::sync::Arc;

use secrecy::ExposeSecret as _;
use thiserror::Error;
use tokenbind_index::{Clock, DocumentKind, IndexError, SecretHash, Stamp, TrackedIndex};
use tokenbind_proto::index::v1::SecretDigest;
use tokenbind_runtime::credentials::Credentials;

use crate::facts::{Bound, Documents, FactInputs, Reach};
use crate::question::Consistency;
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
                let (resource, bound) = self.authenticate_by(id, hash).await?;
                Ok(Caller::Resource(resource, bound))
            }
            PresentedCredentials::None(id) => Ok(Caller::Unauthenticated(Arc::clone(id))),
        }
    }

    /// The resource whose credentials these are.
    pub async fn authenticate(&self, credentials: Option<&Credentials>) -> Result<Arc<Resource>, CallerError> {
        match presented(credentials.ok_or(CallerError::InvalidClient)?)? {
            PresentedCredentials::Secret { id, hash } => Ok(self.authenticate_by(&id, &hash).await?.0),
            PresentedCredentials::None(_) => Err(CallerError::InvalidClient),
        }
    }

    async fn authenticate_by(&self, id: &str, presented: &SecretHash) -> Result<(Arc<Resource>, Bound), CallerError> {
        let (found, bound) = self.find(id, Consistency::MinimizeLatency).await?;
        let matches = match &found {
            Some(found) => self.matches(presented, &found.secrets),
            None => presented.matches(&NOBODY),
        };
        match found {
            Some(found) if matches => Ok((Arc::clone(&found.resource), bound)),
            _ => Err(CallerError::InvalidClient),
        }
    }

    /// A resource, or, for want of an index, what it was when the index was last heard, if it allows that itself.
    async fn find(&self, id: &str, consistency: Consistency) -> Result<(Option<Arc<Registered>>, Bound), IndexError> {
        let bound = self.bound(consistency);
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

    /// The resource that a question is about: the caller, or for development whichever it names. It is as fresh as the
    /// answer has to be.
    pub async fn resource(
        &self,
        caller: &Caller,
        named: &str,
        consistency: Consistency,
    ) -> Result<Arc<Resource>, CallerError> {
        let id = match caller {
            Caller::Resource(own, _) if !named.is_empty() && named != own.id() => return Err(CallerError::ForAnother),
            // It was just looked up as fresh as this needs it.
            Caller::Resource(own, known) if known.satisfies(consistency) => return Ok(Arc::clone(own)),
            Caller::Resource(own, _) => own.id(),
            Caller::Unauthenticated(default) if named.is_empty() => default,
            Caller::Unauthenticated(_) => named,
        };
        let (found, _) = self.find(id, consistency).await?;
        found
            .map(|found| Arc::clone(&found.resource))
            .ok_or(CallerError::UnknownResource)
    }

    fn bound(&self, consistency: Consistency) -> Bound {
        Bound::of(consistency, self.tracking.as_deref())
    }

    /// Every secret is looked at, so that the time does not tell which one it was.
    fn matches(&self, presented: &SecretHash, secrets: &[SecretDigest]) -> bool {
        let now = i64::try_from(self.clock.now_seconds()).unwrap_or(i64::MAX);
        secrets.iter().fold(false, |matched, secret| {
            let live = secret.expires_at == 0 || now < secret.expires_at;
            matched | (presented.matches(&secret.sha256) & live)
        })
    }
}
