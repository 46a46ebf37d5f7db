//! The applications that tokens are issued to, kept for as long as the index tells their changes: issuing is one trip to the
//! index.
//!
//! A change that another issuer or the catalog makes counts here as soon as it is told, and at the latest when the lease ends
//! (`index/src/tracking.rs`). Until then a token can still be issued as the application was. What was revoked stays revoked:
//! such a token is of the generation that the application had then, and validators look at the application themselves.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;
use tokenbind_index::{Document, DocumentKind, Stamp, Store, TrackedIndex};

use crate::application::Application;
use crate::error::IssuerError;

/// How long what is kept may be used after the index was last heard.
pub const LEASE: Duration = Duration::from_secs(2);
/// More applications are not kept; further ones are read each time they are needed.
const MAX_KEPT: usize = 10_000;

/// Finds applications.
pub struct Applications {
    store: Arc<dyn Store>,
    tracking: Option<Arc<dyn TrackedIndex>>,
    kept: Cache<Box<str>, Kept>,
}

#[derive(Clone)]
struct Kept {
    application: Arc<Application>,
    stamp: Stamp,
}

impl fmt::Debug for Applications {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Applications").finish_non_exhaustive()
    }
}

impl Applications {
    /// Those of a store. Without anything that tells changes, none is kept.
    pub fn new(store: Arc<dyn Store>, tracking: Option<Arc<dyn TrackedIndex>>) -> Self {
        Self {
            store,
            tracking,
            kept: Cache::new(MAX_KEPT),
        }
    }

    /// An application that is kept, while nothing was told that changed it.
    pub fn kept(&self, client_id: &str) -> Option<Arc<Application>> {
        let tracking = self.tracking.as_deref()?;
        let kept = self.kept.get(client_id)?;
        (tracking.is_current(&kept.stamp) && tracking.confirmed().is_some()).then_some(kept.application)
    }

    /// An application as it is now; `None` where there is none.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn read(&self, client_id: &str) -> Result<Option<Arc<Application>>, IssuerError> {
        let document = self.store.document(DocumentKind::Application, client_id).await?;
        decode(document)
    }

    /// Keeps an application from now on. Only for one that has proven who it is: anybody can ask by any name, and the index
    /// has to remember whatever it tells of.
    pub async fn keep(&self, client_id: &str) {
        let Some(tracking) = &self.tracking else { return };
        // What cannot be kept is read again the next time, which tells what is wrong with it.
        if let Ok(read) = tracking.document_tracked(DocumentKind::Application, client_id).await
            && let Ok(Some(application)) = decode(read.value)
        {
            let stamp = read.stamp;
            self.kept.insert(client_id.into(), Kept { application, stamp });
        }
    }

    /// Something was changed here: whoever changed it need not wait until the index tells.
    pub fn forget(&self, client_id: &str) {
        self.kept.remove(client_id);
    }
}

fn decode(document: Option<Document>) -> Result<Option<Arc<Application>>, IssuerError> {
    document
        .map(|document| Application::decode(&document).map(Arc::new))
        .transpose()
}
