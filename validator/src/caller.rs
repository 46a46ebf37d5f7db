//! Who may ask: resources, by their own credentials.

use std::sync::Arc;

use secrecy::ExposeSecret as _;
use thiserror::Error;
use tokenbind_index::{Clock, DocumentKind, IndexError, SecretHash, TrackedIndex};
use tokenbind_proto::index::v1::SecretDigest;
use tokenbind_runtime::credentials::Credentials;

use crate::facts::{Bound, Documents, FactInputs};
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
        }
    }

    /// Who calls. Credentials that are sent must be right, also where none are needed.
    pub async fn identify(&self, credentials: Option<&Credentials>) -> Result<Caller, CallerError> {
        match (credentials, &self.unauthenticated_as) {
            (Some(_), _) => {
                let bound = self.bound(Consistency::MinimizeLatency);
                let resource = self.authenticate_by(credentials, bound).await?;
                Ok(Caller::Resource(resource, bound))
            }
            (None, Some(id)) => Ok(Caller::Unauthenticated(Arc::clone(id))),
            (None, None) => Err(CallerError::InvalidClient),
        }
    }

    /// The resource whose credentials these are.
    pub async fn authenticate(&self, credentials: Option<&Credentials>) -> Result<Arc<Resource>, CallerError> {
        let bound = self.bound(Consistency::MinimizeLatency);
        self.authenticate_by(credentials, bound).await
    }

    async fn authenticate_by(
        &self,
        credentials: Option<&Credentials>,
        bound: Bound,
    ) -> Result<Arc<Resource>, CallerError> {
        let Some(Credentials::Basic { id, secret }) = credentials else {
            return Err(CallerError::InvalidClient);
        };
        if id.is_empty() || id.len() > MAX_RESOURCE_ID_BYTES {
            return Err(CallerError::InvalidClient);
        }
        let presented = SecretHash::of(secret.expose_secret());
        let found = self.resources.get(id, bound).await?;
        let matches = match &found {
            Some(found) => self.matches(&presented, &found.secrets),
            None => presented.matches(&NOBODY),
        };
        match found {
            Some(found) if matches => Ok(Arc::clone(&found.resource)),
            _ => Err(CallerError::InvalidClient),
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
        let bound = self.bound(consistency);
        let id = match caller {
            Caller::Resource(own, _) if !named.is_empty() && named != own.id() => return Err(CallerError::ForAnother),
            Caller::Resource(own, Bound::Now) => return Ok(Arc::clone(own)),
            Caller::Resource(own, Bound::Kept(_)) if bound != Bound::Now => return Ok(Arc::clone(own)),
            Caller::Resource(own, Bound::Kept(_)) => own.id(),
            Caller::Unauthenticated(default) if named.is_empty() => default,
            Caller::Unauthenticated(_) => named,
        };
        let found = self.resources.get(id, bound).await?;
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
