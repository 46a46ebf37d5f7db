//! Makes what a program declares, as the API would.

use std::collections::BTreeMap;

use tokenbind_index::{Expect, Store};
use tokenbind_proto::v1::Source;

use super::Catalog;
use super::publish::Publishable;
use crate::declared::documents;
use crate::error::IssuerError;

impl Catalog {
    /// Makes everything that is not there yet. It can be changed through the API from then on, and what is there already is
    /// left as it is, whoever made it. Answers how many were made.
    ///
    /// # Errors
    /// The store failed: then a part may be done, and doing it again completes it.
    pub async fn seed(&self, store: &dyn Store) -> Result<usize, IssuerError> {
        let applications = seed(store, &self.applications).await?;
        let users = seed(store, &self.users).await?;
        let resources = seed(store, &self.resources).await?;
        Ok(applications + users + resources)
    }
}

async fn seed<R: Publishable>(store: &dyn Store, declared: &BTreeMap<String, R>) -> Result<usize, IssuerError> {
    let mut made = 0;
    for (id, record) in declared {
        let stored = documents::put(store, id, &record.with_source(Source::Api), Expect::Absent).await?;
        made += usize::from(stored.is_some());
    }
    Ok(made)
}
