//! Users.

use std::collections::BTreeMap;

use serde::Serialize;
use tokenbind_proto::v1::User;

use super::yes;
use crate::output::{facts, joined, table};
use crate::words;

/// A user.
#[derive(Debug, Serialize)]
pub(crate) struct UserView {
    username: String,
    attributes: BTreeMap<String, String>,
    scopes: Vec<String>,
    disabled: bool,
    source: String,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self {
            username: user.username,
            attributes: user.attributes.into_iter().collect(),
            scopes: user.scopes,
            disabled: user.disabled,
            source: words::source(user.source),
        }
    }
}

impl UserView {
    fn attribute_text(&self) -> String {
        let pairs: Vec<_> = self
            .attributes
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join(" ")
    }

    /// One user for people.
    pub(crate) fn text(&self) -> String {
        facts([
            ("username", self.username.clone()),
            ("attributes", self.attribute_text()),
            ("scopes", joined(&self.scopes)),
            ("disabled", yes(self.disabled)),
            ("source", self.source.clone()),
        ])
    }

    /// Several for people.
    pub(crate) fn table(users: &[Self]) -> String {
        let row = |user: &Self| {
            [
                user.username.clone(),
                user.attribute_text(),
                joined(&user.scopes),
                user.source.clone(),
                yes(user.disabled),
            ]
        };
        table(
            ["USERNAME", "ATTRIBUTES", "SCOPES", "SOURCE", "DISABLED"],
            users.iter().map(row),
        )
    }
}
