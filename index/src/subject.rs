//! Who a token speaks for.

use crate::digest::FieldDigest;
use crate::locator::Home;

/// What the `sub` of a user begins with. No `client_id` may, so a user and an application never share a subject.
pub const USER_PREFIX: &str = "user:";
/// What the `sub` of a trusted issuer's subject begins with. No `client_id` may.
pub const EXTERNAL_PREFIX: &str = "ext:";

/// Who a token speaks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// A user, by username.
    User(String),
    /// An application that speaks for itself, by `client_id`.
    Application(String),
    /// Somebody whom a trusted issuer vouches for: that issuer's name, a colon, and what it calls the subject. Never one of our
    /// users or applications, whatever the issuer says.
    External(String),
}

impl Subject {
    /// What a trusted issuer of this name, which has no colon, calls `subject`.
    pub fn external(trusted_issuer: &str, subject: &str) -> Self {
        Self::External(format!("{trusted_issuer}:{subject}"))
    }

    /// The subject that a claim `sub` names.
    pub fn from_claim(claim: &str) -> Self {
        if let Some(username) = claim.strip_prefix(USER_PREFIX) {
            return Self::User(username.to_owned());
        }
        match claim.strip_prefix(EXTERNAL_PREFIX) {
            Some(name) => Self::External(name.to_owned()),
            None => Self::Application(claim.to_owned()),
        }
    }

    /// The claim `sub`.
    pub fn claim(&self) -> String {
        match self {
            Self::User(username) => format!("{USER_PREFIX}{username}"),
            Self::Application(client_id) => client_id.clone(),
            Self::External(name) => format!("{EXTERNAL_PREFIX}{name}"),
        }
    }

    /// The username, where there is one.
    pub fn username(&self) -> Option<&str> {
        match self {
            Self::User(username) => Some(username),
            Self::Application(_) | Self::External(_) => None,
        }
    }

    /// The claim `aut`: the kind of subject, in the words of the servers that clients come from.
    pub fn authorized_user_type(&self) -> &'static str {
        match self {
            Self::User(_) => "APPLICATION_USER",
            Self::Application(_) => "APPLICATION",
            Self::External(_) => "EXTERNAL",
        }
    }

    /// Where the subject's keys live.
    pub fn home(&self) -> Home {
        let (kind, name) = match self {
            Self::User(username) => ("user", username),
            Self::Application(client_id) => ("application", client_id),
            Self::External(name) => ("external", name),
        };
        Home::new(
            FieldDigest::new("tokenbind home 1")
                .field(kind.as_bytes())
                .field(name.as_bytes())
                .truncated(),
        )
    }
}
