//! Lists come in pages.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokenbind_index::DocumentStore;

use crate::declared::documents::{self, Declared};
use crate::error::{FieldViolations, IssuerError};

const DEFAULT_SIZE: usize = 100;
const MAX_SIZE: usize = 1_000;
/// An id has at most 255 bytes, which are 340 characters.
const MAX_TOKEN_BYTES: usize = 340;

/// Which page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    size: usize,
    after: Option<String>,
}

impl PageRequest {
    /// Reads `page_size` and `page_token`.
    pub fn parse(page_size: u32, page_token: &str) -> Result<Self, IssuerError> {
        let mut violations = FieldViolations::new();
        let size = match usize::try_from(page_size).unwrap_or(usize::MAX) {
            0 => DEFAULT_SIZE,
            size => size,
        };
        violations.require(size <= MAX_SIZE, "page_size", "must be 1 to 1000, or 0 for 100");
        let after = if page_token.is_empty() {
            None
        } else {
            decode(page_token)
        };
        let understood = page_token.is_empty() || after.is_some();
        violations.require(
            understood,
            "page_token",
            "must be the `next_page_token` of an answer, or empty",
        );
        violations.finish()?;
        Ok(Self { size, after })
    }

    /// Reads the page.
    pub(super) async fn read<R: Declared>(&self, store: &dyn DocumentStore) -> Result<Page<R>, IssuerError> {
        // One more tells whether there is a next page.
        let mut found = documents::list::<R>(store, self.after.as_deref(), self.size + 1).await?;
        let more = found.len() > self.size;
        found.truncate(self.size);
        let last = found.last().filter(|_| more);
        let next_page_token = last.map(|(id, _)| URL_SAFE_NO_PAD.encode(id)).unwrap_or_default();
        Ok(Page {
            members: found.into_iter().map(|(_, stored)| stored.record).collect(),
            next_page_token,
        })
    }
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// By id.
    pub members: Vec<T>,
    /// Empty on the last page.
    pub next_page_token: String,
}

impl<T> Page<T> {
    /// Turns each member into something else, or leaves it out.
    pub(super) fn filter_map<U>(self, convert: impl FnMut(T) -> Option<U>) -> Page<U> {
        Page {
            members: self.members.into_iter().filter_map(convert).collect(),
            next_page_token: self.next_page_token,
        }
    }
}

fn decode(page_token: &str) -> Option<String> {
    if page_token.len() > MAX_TOKEN_BYTES {
        return None;
    }
    String::from_utf8(URL_SAFE_NO_PAD.decode(page_token).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(page_size: u32, page_token: &str) -> Vec<String> {
        match PageRequest::parse(page_size, page_token) {
            Err(IssuerError::Invalid { violations, .. }) => violations.into_iter().map(|one| one.field).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn bad_sizes_and_tokens_are_told_together() {
        assert_eq!(fields(1_001, "not base64!"), ["page_size", "page_token"]);
        assert_eq!(fields(u32::MAX, ""), ["page_size"]);
        assert_eq!(fields(1, &"A".repeat(341)), ["page_token"]);
        assert_eq!(fields(1, "_w"), ["page_token"], "not UTF-8");
    }

    #[test]
    fn nothing_asked_is_the_first_hundred() {
        assert_eq!(
            PageRequest::parse(0, "").unwrap(),
            PageRequest { size: 100, after: None }
        );
        assert_eq!(
            PageRequest::parse(1_000, "YQ").unwrap(),
            PageRequest {
                size: 1_000,
                after: Some("a".into())
            }
        );
    }
}
