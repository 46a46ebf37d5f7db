//! Several installations can share a store.

use std::fmt;

use thiserror::Error;

/// A namespace is not 1 to 32 of `a-z`, `0-9`, `-`, `_`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be 1 to 32 characters of a-z, 0-9, `-` and `_`")]
pub struct NamespaceError;

/// Prefixes every key, and is the tenant of every binding ref: what one installation issues means nothing in another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace(String);

impl Namespace {
    /// Checks a name.
    pub fn parse(name: &str) -> Result<Self, NamespaceError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
        // No `{`: it would open a hash tag before ours.
        if (1..=32).contains(&name.len()) && name.bytes().all(allowed) {
            return Ok(Self(name.to_owned()));
        }
        Err(NamespaceError)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self("tokenbind".to_owned())
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
