//! Where users are, and whether their passwords are right: in the index, or in a directory elsewhere.

mod args;
mod breaker;
mod builtin;
mod external;
mod grpc;
mod ldap;
#[cfg(test)]
mod tests;
mod tls;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use secrecy::SecretString;
use tokenbind_index::Revision;
use tokenbind_proto::v1::User;

pub use self::args::{DirectoryArgs, DirectoryConfig};
pub use self::external::ExternalDirectory;
use crate::context::Issuer;
use crate::declared::check_user;
use crate::error::IssuerError;
use crate::fair_queue::Place;

/// Where passwords are verified.
#[derive(Clone, Debug, Default)]
pub enum Directory {
    /// By the users that are declared and administered here.
    #[default]
    Builtin,
    /// By a directory elsewhere; the users here are then not asked.
    External(Arc<ExternalDirectory>),
}

/// Who says to be whom.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) username: String,
    pub(crate) password: SecretString,
    /// The application through which the user comes.
    pub(crate) client_id: String,
}

/// A user whose password was right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownUser {
    /// As the directory writes it.
    pub(crate) username: String,
    /// If set, no other scopes are granted.
    pub(crate) scopes: Option<BTreeSet<String>>,
    pub(crate) attributes: BTreeMap<String, String>,
    /// The version that was judged, where the index has one.
    pub(crate) version: Option<Revision>,
}

impl Directory {
    /// A place in the queue for a login through this application.
    ///
    /// # Errors
    /// [`IssuerError::Overloaded`].
    pub(crate) fn place(&self, issuer: &Issuer, client_id: &str) -> Result<Place, IssuerError> {
        match self {
            Self::Builtin => issuer.passwords.place(client_id),
            Self::External(directory) => directory.place(client_id),
        }
    }

    /// The user, or nothing where the directory refuses: it never says why.
    ///
    /// # Errors
    /// [`IssuerError::Unavailable`] where the directory does not answer: that is never a refusal.
    pub(crate) async fn authenticate(
        &self,
        issuer: &Issuer,
        place: Place,
        login: &Login,
    ) -> Result<Option<KnownUser>, IssuerError> {
        match self {
            Self::Builtin => builtin::authenticate(issuer, place, login).await,
            Self::External(directory) => directory.authenticate(place, login).await,
        }
    }
}

impl KnownUser {
    /// A user as a directory elsewhere describes them; `None` for one that could not be declared here either.
    fn described(user: User) -> Option<Self> {
        check_user(&user).is_empty().then(|| Self {
            username: user.username,
            scopes: (!user.scopes.is_empty()).then(|| user.scopes.into_iter().collect()),
            attributes: user.attributes.into_iter().collect(),
            version: None,
        })
    }
}
