//! Brings the store in line with the catalog.

use std::collections::BTreeMap;

use thiserror::Error;
use tokenbind_index::{Delete, Expect, Store};
use tokenbind_proto::index::v1::{ApplicationRecord, ResourceRecord, UserRecord};
use tokenbind_proto::v1::Source;

use super::Catalog;
use crate::application::OUTLIVES_TOKENS_SECONDS;
use crate::declared::documents::{self, Declared, Stored};
use crate::declared::suspension::suspend;
use crate::error::IssuerError;

/// How often a document is looked at again because another issuer wrote it at the same time.
const ATTEMPTS: usize = 5;
const PAGE: usize = 1_000;

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// New, or changed.
    pub stored: usize,
    /// As declared already.
    pub unchanged: usize,
    /// Declared no more.
    pub removed: usize,
}

/// Why the store is not in line with the catalog.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PublishError {
    /// The API made things that the catalog declares too: which of the two holds is for a person to say.
    #[error(
        "the catalog declares what was made through the API: {}; delete it there, or remove it from the catalog",
        .0.join(", ")
    )]
    MadeByApi(Vec<String>),
    /// The store failed.
    #[error(transparent)]
    Failed(#[from] IssuerError),
}

impl Catalog {
    /// Stores what is declared and removes what was declared once and is no more; what the API made stays. Doing it again,
    /// also at the same time from several issuers, changes nothing further.
    ///
    /// # Errors
    /// [`PublishError::MadeByApi`], before anything is changed; or the store failed: then a part may be done, and doing it
    /// again completes it.
    pub async fn publish(&self, store: &dyn Store) -> Result<Published, PublishError> {
        let applications = existing::<ApplicationRecord>(store).await?;
        let users = existing::<UserRecord>(store).await?;
        let resources = existing::<ResourceRecord>(store).await?;
        let mut taken = made_by_api(&self.applications, &applications);
        taken.extend(made_by_api(&self.users, &users));
        taken.extend(made_by_api(&self.resources, &resources));
        if !taken.is_empty() {
            return Err(PublishError::MadeByApi(taken));
        }
        let mut done = Published::default();
        bring_in_line(store, &self.applications, applications, &mut done).await?;
        bring_in_line(store, &self.users, users, &mut done).await?;
        bring_in_line(store, &self.resources, resources, &mut done).await?;
        Ok(done)
    }
}

/// A kind of record that a catalog declares.
pub(super) trait Publishable: Declared {
    /// For how long a deleted one's generation is remembered.
    const REMEMBER_MS: u64 = 0;

    /// The same, from there.
    fn with_source(&self, source: Source) -> Self;

    /// Whether tokens must be revoked before the record may become another one, or go.
    fn ends_tokens(&self, _becomes: Option<&Self>) -> bool {
        false
    }

    /// The user, where it is one.
    fn as_user(&self) -> Option<&UserRecord> {
        None
    }
}

impl Publishable for ApplicationRecord {
    const REMEMBER_MS: u64 = OUTLIVES_TOKENS_SECONDS as u64 * 1_000;

    fn with_source(&self, source: Source) -> Self {
        let mut record = self.clone();
        record.application.get_or_insert_default().set_source(source);
        record
    }
}

impl Publishable for UserRecord {
    fn with_source(&self, source: Source) -> Self {
        let mut record = self.clone();
        record.user.get_or_insert_default().set_source(source);
        record
    }

    fn ends_tokens(&self, becomes: Option<&Self>) -> bool {
        let disabled = |record: &Self| record.user.as_ref().is_some_and(|user| user.disabled);
        becomes.is_none_or(|new| new.password_hash != self.password_hash || (disabled(new) && !disabled(self)))
    }

    fn as_user(&self) -> Option<&UserRecord> {
        Some(self)
    }
}

impl Publishable for ResourceRecord {
    fn with_source(&self, source: Source) -> Self {
        let mut record = self.clone();
        record.resource.get_or_insert_default().set_source(source);
        record
    }
}

type Existing<R> = BTreeMap<String, Stored<R>>;

async fn existing<R: Declared>(store: &dyn Store) -> Result<Existing<R>, IssuerError> {
    let mut all = BTreeMap::new();
    loop {
        let after = all.last_key_value().map(|(id, _): (&String, _)| id.clone());
        let page = documents::list::<R>(store, after.as_deref(), PAGE).await?;
        let last = page.len() < PAGE;
        all.extend(page);
        if last {
            return Ok(all);
        }
    }
}

fn made_by_api<R: Declared>(declared: &BTreeMap<String, R>, existing: &Existing<R>) -> Vec<String> {
    let taken = |id: &&String| {
        existing
            .get(*id)
            .is_some_and(|stored| stored.record.source() != Source::Catalog)
    };
    declared.keys().filter(taken).map(|id| named::<R>(id)).collect()
}

fn named<R: Declared>(id: &str) -> String {
    format!("{} {id:?}", R::NAME)
}

async fn bring_in_line<R: Publishable>(
    store: &dyn Store,
    declared: &BTreeMap<String, R>,
    mut existing: Existing<R>,
    done: &mut Published,
) -> Result<(), PublishError> {
    for (id, record) in declared {
        let found = existing.remove(id);
        if put(store, id, &record.with_source(Source::Catalog), found).await? {
            done.stored += 1;
        } else {
            done.unchanged += 1;
        }
    }
    for (id, stored) in existing {
        if stored.record.source() == Source::Catalog {
            remove(store, &id, stored).await?;
            done.removed += 1;
        }
    }
    Ok(())
}

/// Stores a record; answers whether it had to.
async fn put<R: Publishable>(
    store: &dyn Store,
    id: &str,
    record: &R,
    mut found: Option<Stored<R>>,
) -> Result<bool, PublishError> {
    for _ in 0..ATTEMPTS {
        let expect = match &found {
            Some(stored) if stored.record == *record => return Ok(false),
            Some(stored) if stored.record.source() != Source::Catalog => {
                return Err(PublishError::MadeByApi(vec![named::<R>(id)]));
            }
            Some(stored) => expect(store, id, stored, Some(record)).await?,
            None => Some(Expect::Absent),
        };
        if let Some(expect) = expect
            && documents::put(store, id, record, expect).await?.is_some()
        {
            return Ok(true);
        }
        found = documents::find(store, id).await?;
    }
    Err(IssuerError::Conflict(R::NAME).into())
}

async fn remove<R: Publishable>(store: &dyn Store, id: &str, stored: Stored<R>) -> Result<(), PublishError> {
    let mut found = Some(stored);
    for _ in 0..ATTEMPTS {
        // Somebody else removed it, and may have made another one since.
        let Some(stored) = found.filter(|stored| stored.record.source() == Source::Catalog) else {
            return Ok(());
        };
        if let Some(expect) = expect(store, id, &stored, None).await? {
            match store
                .delete_document(R::KIND, id, expect, R::REMEMBER_MS)
                .await
                .map_err(IssuerError::from)?
            {
                Delete::Deleted | Delete::Absent => return Ok(()),
                Delete::Conflict => {}
            }
        }
        found = documents::find(store, id).await?;
    }
    Err(IssuerError::Conflict(R::NAME).into())
}

/// The version that a record is written over, once its tokens are revoked where they have to be. `None` when somebody else
/// wrote it meanwhile.
async fn expect<R: Publishable>(
    store: &dyn Store,
    id: &str,
    stored: &Stored<R>,
    becomes: Option<&R>,
) -> Result<Option<Expect>, IssuerError> {
    let Some(user) = stored.record.as_user().filter(|_| stored.record.ends_tokens(becomes)) else {
        return Ok(Some(Expect::Version(stored.version)));
    };
    match suspend(
        store,
        id,
        Stored {
            record: user.clone(),
            version: stored.version,
        },
    )
    .await
    {
        Ok(version) => Ok(Some(Expect::Version(version))),
        Err(IssuerError::Conflict(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
