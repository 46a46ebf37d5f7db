//! Callers whose credentials were just found good: the same bytes are not taken apart, hashed and compared at every call.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use quick_cache::sync::Cache;
use tokenbind_index::Stamp;

use crate::resource::Resource;

/// A validator has few callers, each with one secret or two.
const MAX_REMEMBERED: usize = 1_000;

/// SHA-256 of a value of `authorization`. The secret in it was generated (256 bits), so its digest tells nobody anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AuthorizationDigest([u8; 32]);

impl AuthorizationDigest {
    pub(crate) fn of(authorization: &[u8]) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, authorization).as_ref());
        Self(hash)
    }
}

#[derive(Debug)]
pub(crate) struct Remembered(Cache<AuthorizationDigest, Arc<GoodCaller>>);

/// Whose credentials some bytes are.
#[derive(Debug)]
pub(crate) struct GoodCaller {
    pub(crate) resource: Arc<Resource>,
    /// Of the resource's document: it turns old with the next change of the resource or of its secrets.
    pub(crate) stamp: Stamp,
    /// When the secret ends, in seconds since 1970; 0 for never.
    pub(crate) ends_at: i64,
}

impl Remembered {
    pub(crate) fn new() -> Self {
        Self(Cache::new(MAX_REMEMBERED))
    }

    pub(crate) fn get(&self, authorization: &AuthorizationDigest) -> Option<Arc<GoodCaller>> {
        self.0.get(authorization)
    }

    pub(crate) fn insert(&self, authorization: AuthorizationDigest, caller: GoodCaller) {
        self.0.insert(authorization, Arc::new(caller));
    }
}
