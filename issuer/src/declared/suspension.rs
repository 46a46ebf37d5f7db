//! Ends what a user has before the user changes or goes.

use tokenbind_index::{Expect, Revision, Selection, Store, Subject};
use tokenbind_proto::index::v1::UserRecord;

use super::documents::{self, Stored};
use crate::error::IssuerError;

/// Suspends a user: first no further token is issued, then those that are live are revoked. Answers the version of the
/// suspended record.
///
/// Whatever stops this half-way leaves a record that is not the one before and not the one to come, so whoever finds it
/// begins again and no revocation is forgotten.
pub(crate) async fn suspend(
    store: &dyn Store,
    username: &str,
    user: Stored<UserRecord>,
) -> Result<Revision, IssuerError> {
    let version = if is_suspended(&user.record) {
        user.version
    } else {
        let mut record = user.record;
        record.password_hash.clear();
        if let Some(user) = &mut record.user {
            user.disabled = true;
        }
        let stored = documents::put(store, username, &record, Expect::Version(user.version)).await?;
        stored.ok_or(IssuerError::Conflict("user"))?
    };
    revoke_tokens(store, username).await?;
    Ok(version)
}

fn is_suspended(record: &UserRecord) -> bool {
    record.password_hash.is_empty() && record.user.as_ref().is_some_and(|user| user.disabled)
}

/// Revokes every token of a user.
pub(crate) async fn revoke_tokens(store: &dyn Store, username: &str) -> Result<(), IssuerError> {
    let home = Subject::User(username.to_owned()).home();
    store.revoke_subject(home, Selection::default()).await?;
    Ok(())
}
