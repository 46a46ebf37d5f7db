//! The users of the index.

use prost::Message as _;
use tokenbind_index::{DocumentKind, Revision};
use tokenbind_proto::index::v1::UserRecord;

use super::{KnownUser, Login};
use crate::context::Issuer;
use crate::error::IssuerError;
use crate::fair_queue::Place;

/// Judges by the user's record.
pub(super) async fn authenticate(
    issuer: &Issuer,
    place: Place,
    login: &Login,
) -> Result<Option<KnownUser>, IssuerError> {
    let (record, version) = match read(issuer, &login.username).await? {
        Some((record, version)) => (Some(record), version),
        None => (None, 0),
    };
    let known = record.filter(|record| record.user.as_ref().is_some_and(|user| !user.disabled));
    // A record without a hash is of a user who has no password (any more).
    let known = known.filter(|record| !record.password_hash.is_empty());
    // Nobody's password takes as long as somebody's (A17).
    let hash = known.as_ref().map(|record| record.password_hash.clone());
    let proven = issuer.passwords.verify(place, login.password.clone(), hash).await?;
    let user = known.filter(|_| proven).and_then(|record| record.user);
    Ok(user.map(|user| KnownUser {
        username: user.username,
        scopes: (!user.scopes.is_empty()).then(|| user.scopes.into_iter().collect()),
        attributes: user.attributes.into_iter().collect(),
        version: Some(version),
    }))
}

async fn read(issuer: &Issuer, username: &str) -> Result<Option<(UserRecord, Revision)>, IssuerError> {
    let Some(document) = issuer.store.document(DocumentKind::User, username).await? else {
        return Ok(None);
    };
    let record = UserRecord::decode(document.body.as_slice())
        .map_err(|error| IssuerError::Internal(format!("a user's record cannot be read: {error}")))?;
    Ok(Some((record, document.version)))
}
