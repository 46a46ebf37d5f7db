//! What most tests of this suite begin with.

use tokenbind_proto::v1::{IssueTokenResponse, TokenFormat};
use tokenbind_tests::{App, Resource, Stack};

/// The lifetime of an application that sets none.
pub(crate) const LIFETIME: u32 = 3_600;

/// One application of each format, and a resource that accepts both.
pub(crate) struct Shops {
    pub(crate) jwt: App,
    pub(crate) opaque: App,
    pub(crate) api: Resource,
}

impl Shops {
    pub(crate) async fn create(stack: &Stack) -> Self {
        let jwt = stack.shop("jwt", TokenFormat::Jwt).await;
        let opaque = stack.shop("opaque", TokenFormat::Opaque).await;
        let api = stack.api("api", &[&jwt, &opaque]).await;
        Self { jwt, opaque, api }
    }

    pub(crate) fn both(&self) -> [&App; 2] {
        [&self.jwt, &self.opaque]
    }
}

/// A token that nobody has seen before, with its whole lifetime before it.
pub(crate) fn assert_new(token: &IssueTokenResponse) {
    assert!(!token.reused);
    assert_eq!(token.expires_in, LIFETIME);
    assert_eq!(token.token_type, "Bearer");
    assert_eq!(token.issued_token_type, "urn:ietf:params:oauth:token-type:access_token");
}

/// `later` is `earlier` again.
pub(crate) fn assert_same(earlier: &IssueTokenResponse, later: &IssueTokenResponse) {
    assert!(earlier.access_token == later.access_token, "the same token");
    assert!(later.reused && !later.superseded);
    assert_eq!(later.revision, earlier.revision);
    assert!((1..=earlier.expires_in).contains(&later.expires_in));
}
