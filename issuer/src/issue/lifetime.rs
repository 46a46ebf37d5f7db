//! How long a token lives that must not outlive another one.

use tokenbind_index::Revision;

use super::granted::Token;
use crate::application::Application;
use crate::error::IssuerError;

/// How much time there is between reading the clock and the write, in microseconds. A write that took longer is done again.
const WRITE_US: u64 = 250_000;

/// Whether something that ends then leaves a token any time to live.
pub(crate) fn leaves_time(ends_at_us: u64, now_us: u64) -> bool {
    ends_at_us >= now_us.saturating_add(WRITE_US + 1_000_000)
}

impl Token {
    /// Seconds that it lives when it is written about `now_us`.
    ///
    /// # Errors
    /// What it must not outlive has less than a second left: it is as good as over.
    pub(super) fn lifetime_seconds(&self, application: &Application, now_us: u64) -> Result<u32, IssuerError> {
        let Some(ends_at_us) = self.ends_at_us else {
            return Ok(application.lifetime_seconds);
        };
        let left = ends_at_us.saturating_sub(now_us.saturating_add(WRITE_US)) / 1_000_000;
        let lifetime = u32::try_from(left)
            .unwrap_or(u32::MAX)
            .min(application.lifetime_seconds);
        if lifetime == 0 {
            return Err(IssuerError::InvalidGrant);
        }
        Ok(lifetime)
    }

    /// Whether a record of this age would outlive what it must not.
    pub(super) fn is_outlived_by(&self, revision: Revision, lifetime_ms: u32) -> bool {
        let ends_at_us = revision.saturating_add(u64::from(lifetime_ms) * 1_000);
        self.ends_at_us.is_some_and(|limit| ends_at_us > limit)
    }
}
