//! Notices when the index has lost something that the catalog declares.

use std::collections::BTreeMap;

use tokenbind_index::{LostDocuments, Store};
use tokenbind_proto::index::v1::{ApplicationRecord, ResourceRecord, UserRecord};

use super::Catalog;
use crate::declared::documents::Declared;
use crate::error::IssuerError;

/// How many of each kind are looked at each time: some microseconds of the index, however much is declared.
const AT_A_TIME: usize = 200;

/// Goes through what the index lists, a part at a time, and begins again. What somebody deleted is not lost: another issuer may
/// have a newer catalog.
#[derive(Debug, Default)]
pub(crate) struct Patrol {
    applications: Option<String>,
    users: Option<String>,
    resources: Option<String>,
}

impl Patrol {
    /// Whether the index has everything of the next part.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn finds_all(&mut self, catalog: &Catalog, store: &dyn Store) -> Result<bool, IssuerError> {
        let Catalog {
            applications,
            users,
            resources,
            ..
        } = catalog;
        let has_applications = has_all::<ApplicationRecord>(store, applications, &mut self.applications).await?;
        let has_users = has_all::<UserRecord>(store, users, &mut self.users).await?;
        let has_resources = has_all::<ResourceRecord>(store, resources, &mut self.resources).await?;
        Ok(has_applications && has_users && has_resources)
    }
}

async fn has_all<R: Declared>(
    store: &dyn Store,
    declared: &BTreeMap<String, R>,
    after: &mut Option<String>,
) -> Result<bool, IssuerError> {
    let from = after.take();
    if declared.is_empty() {
        return Ok(true);
    }
    let look = async || store.lost_documents(R::KIND, from.as_deref(), AT_A_TIME).await;
    let LostDocuments { mut ids, next } = look().await?;
    *after = next;
    ids.retain(|id| declared.contains_key(id));
    if ids.is_empty() {
        return Ok(true);
    }
    // One that was being deleted is not listed any more.
    let again = look().await?.ids;
    Ok(!ids.iter().any(|id| again.contains(id)))
}
