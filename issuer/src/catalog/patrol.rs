//! Notices when the index has lost something that the catalog declares.

use std::collections::BTreeMap;

use tokenbind_index::Store;
use tokenbind_proto::index::v1::{ApplicationRecord, ResourceRecord, UserRecord};

use super::Catalog;
use crate::declared::documents::Declared;
use crate::error::IssuerError;

/// How many of each kind are looked for at a time: some microseconds of the index, however much is declared.
const AT_A_TIME: usize = 200;

/// Goes through what is declared, a part at a time, and begins again.
#[derive(Debug, Default)]
pub(crate) struct Patrol {
    part: usize,
}

impl Patrol {
    /// Whether the index has everything of the next part.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn finds_all(&mut self, catalog: &Catalog, store: &dyn Store) -> Result<bool, IssuerError> {
        let from = self.part * AT_A_TIME;
        let most = [catalog.applications.len(), catalog.users.len(), catalog.resources.len()];
        let more = most.into_iter().any(|declared| declared > from + AT_A_TIME);
        self.part = if more { self.part + 1 } else { 0 };
        Ok(has_all::<ApplicationRecord>(store, &catalog.applications, from).await?
            && has_all::<UserRecord>(store, &catalog.users, from).await?
            && has_all::<ResourceRecord>(store, &catalog.resources, from).await?)
    }
}

async fn has_all<R: Declared>(
    store: &dyn Store,
    declared: &BTreeMap<String, R>,
    from: usize,
) -> Result<bool, IssuerError> {
    let ids: Vec<&str> = declared.keys().skip(from).take(AT_A_TIME).map(String::as_str).collect();
    Ok(store.count_documents(R::KIND, &ids).await? == ids.len())
}
