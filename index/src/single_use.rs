//! The trait that remembers what may be used once.

use std::time::Duration;

use async_trait::async_trait;

use crate::digest::FieldDigest;
use crate::error::IndexError;

/// A digest of something that may be used once, such as the `jti` of an assertion together with who issued it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UseDigest(pub [u8; 32]);

impl UseDigest {
    /// Digests `fields` for one purpose. Fields cannot run into each other, and purposes do not meet.
    pub fn of(purpose: &str, fields: &[&str]) -> Self {
        let digest = FieldDigest::new("tokenbind single use 1").field(purpose.as_bytes());
        Self(digest.list(fields.iter().copied()).finish())
    }
}

/// Remembers what was used, for as long as it could be used again.
#[async_trait]
pub trait SingleUse: Send + Sync + 'static {
    /// Uses something up: `true` for the first caller of all processes, `false` for everyone after until `remember` has passed
    /// by the store's clock. One atomic step.
    ///
    /// # Errors
    /// Those of the store, a full one included: then it may count as used or not, and the caller must refuse it.
    async fn consume(&self, what: UseDigest, remember: Duration) -> Result<bool, IndexError>;
}

/// Whole milliseconds, rounded up: nothing may be forgotten early, and Redis takes no 0.
pub(crate) fn remember_ms(remember: Duration) -> u64 {
    let rounded_up = remember.as_nanos().div_ceil(1_000_000).max(1);
    // Far beyond any lifetime, and what Redis can still add to its clock.
    u64::try_from(rounded_up).unwrap_or(u64::MAX).min(1 << 50)
}
