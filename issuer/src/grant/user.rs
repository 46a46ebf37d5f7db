//! The user whom a token will speak for, where it was not the user who asked.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;
use tokenbind_index::{DocumentKind, Revision, Subject};
use tokenbind_proto::index::v1::UserRecord;

use crate::context::Issuer;
use crate::error::IssuerError;

/// What matters of a user who is not disabled; nothing for whom nothing is kept here.
#[derive(Debug, Default)]
pub(super) struct Judged {
    /// If set, no other scopes are granted.
    pub(super) scopes: Option<BTreeSet<String>>,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) version: Option<Revision>,
}

/// What matters of the subject; `None` for a user who is disabled. A user whom another directory knows is not kept here.
pub(super) async fn judge(issuer: &Issuer, subject: &Subject) -> Result<Option<Judged>, IssuerError> {
    let Some(username) = subject.username() else {
        return Ok(Some(Judged::default()));
    };
    let Some(document) = issuer.store.document(DocumentKind::User, username).await? else {
        return Ok(Some(Judged::default()));
    };
    let record = UserRecord::decode(document.body.as_slice())
        .map_err(|error| IssuerError::Internal(format!("a user's record cannot be read: {error}")))?;
    let user = record.user.filter(|user| !user.disabled);
    Ok(user.map(|user| Judged {
        scopes: (!user.scopes.is_empty()).then(|| user.scopes.into_iter().collect()),
        attributes: user.attributes.into_iter().collect(),
        version: Some(document.version),
    }))
}
