//! Who a token speaks for.

use crate::digest::FieldDigest;
use crate::locator::Home;

/// What the `sub` of a user begins with. No `client_id` may, so a user and an application never share a subject.
pub const USER_PREFIX: &str = "user:";

/// Who a token speaks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// A user, by username.
    User(String),
    /// An application that speaks for itself, by `client_id`.
    Application(String),
}

impl Subject {
    /// The subject that a claim `sub` names.
    pub fn from_claim(claim: &str) -> Self {
        match claim.strip_prefix(USER_PREFIX) {
            Some(username) => Self::User(username.to_owned()),
            None => Self::Application(claim.to_owned()),
        }
    }

    /// The claim `sub`.
    pub fn claim(&self) -> String {
        match self {
            Self::User(username) => format!("{USER_PREFIX}{username}"),
            Self::Application(client_id) => client_id.clone(),
        }
    }

    /// The username, where there is one.
    pub fn username(&self) -> Option<&str> {
        match self {
            Self::User(username) => Some(username),
            Self::Application(_) => None,
        }
    }

    /// The claim `aut`: the kind of subject, in the words of the servers that clients come from.
    pub fn authorized_user_type(&self) -> &'static str {
        match self {
            Self::User(_) => "APPLICATION_USER",
            Self::Application(_) => "APPLICATION",
        }
    }

    /// Where the subject's keys live.
    pub fn home(&self) -> Home {
        let (kind, name) = match self {
            Self::User(username) => ("user", username),
            Self::Application(client_id) => ("application", client_id),
        };
        Home::new(
            FieldDigest::new("tokenbind home 1")
                .field(kind.as_bytes())
                .field(name.as_bytes())
                .truncated(),
        )
    }
}
