//! Who may ask: resources, by their own credentials.

use std::sync::Arc;

use secrecy::ExposeSecret as _;
use thiserror::Error;
use tokenbind_index::{Clock, IndexError, SecretHash, Store};
use tokenbind_proto::index::v1::SecretDigest;
use tokenbind_runtime::credentials::Credentials;

use crate::resource::{self, Resource};

/// The longest `resource_id`, in bytes.
pub const MAX_RESOURCE_ID_BYTES: usize = 255;

/// Compared with when there is no resource of the name: its check then does the same work as that of a wrong secret.
const NOBODY: [u8; 32] = [0; 32];

/// Who asks.
#[derive(Clone, Debug)]
pub enum Caller {
    /// A resource that proved who it is.
    Resource(Arc<Resource>),
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
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    unauthenticated_as: Option<Arc<str>>,
}

impl Callers {
    /// Callers without credentials are refused, unless they are to count as a resource, which is for development only.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, unauthenticated_as: Option<String>) -> Self {
        Self {
            store,
            clock,
            unauthenticated_as: unauthenticated_as.map(Into::into),
        }
    }

    /// Who calls. Credentials that are sent must be right, also where none are needed.
    pub async fn identify(&self, credentials: Option<&Credentials>) -> Result<Caller, CallerError> {
        match (credentials, &self.unauthenticated_as) {
            (Some(_), _) => self.authenticate(credentials).await.map(Caller::Resource),
            (None, Some(id)) => Ok(Caller::Unauthenticated(Arc::clone(id))),
            (None, None) => Err(CallerError::InvalidClient),
        }
    }

    /// The resource whose credentials these are.
    pub async fn authenticate(&self, credentials: Option<&Credentials>) -> Result<Arc<Resource>, CallerError> {
        let Some(Credentials::Basic { id, secret }) = credentials else {
            return Err(CallerError::InvalidClient);
        };
        if id.is_empty() || id.len() > MAX_RESOURCE_ID_BYTES {
            return Err(CallerError::InvalidClient);
        }
        let presented = SecretHash::of(secret.expose_secret());
        let (resource, matches) = match resource::read(&*self.store, id).await? {
            Some((resource, secrets)) => {
                let matches = self.matches(&presented, &secrets);
                (Some(resource), matches)
            }
            None => (None, presented.matches(&NOBODY)),
        };
        match resource {
            Some(resource) if matches => Ok(Arc::new(resource)),
            _ => Err(CallerError::InvalidClient),
        }
    }

    /// The resource that a question is about: the caller, or for development whichever it names.
    pub async fn resource(&self, caller: &Caller, named: &str) -> Result<Arc<Resource>, CallerError> {
        match caller {
            Caller::Resource(own) if named.is_empty() || named == own.id() => Ok(Arc::clone(own)),
            Caller::Resource(_) => Err(CallerError::ForAnother),
            Caller::Unauthenticated(default) => {
                let id = if named.is_empty() { default } else { named };
                let found = resource::read(&*self.store, id).await?;
                let (resource, _) = found.ok_or(CallerError::UnknownResource)?;
                Ok(Arc::new(resource))
            }
        }
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
