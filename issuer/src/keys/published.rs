//! The public keys as they were looked at last, for whoever verifies: a store that is away for a while stops nobody.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::context::Issuer;
use crate::error::IssuerError;

/// For how long anybody may use the keys after they were read from the store, in seconds: while they are kept here, and by those who
/// got them from here, together. A new key is published for as long before it signs.
pub const KEY_SET_AGE_SECONDS: u32 = 300;

/// A JWK Set, and how old it may still become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedKeys {
    /// A JWK Set (RFC 7517, section 5).
    pub jwks: Arc<str>,
    /// For how many seconds it may be used from now on.
    pub max_age_seconds: u32,
}

/// What was read last.
#[derive(Debug, Default)]
pub struct LastKeys(ArcSwapOption<Read>);

#[derive(Debug)]
struct Read {
    jwks: Arc<str>,
    /// Before it was read, on the monotonic clock, in microseconds.
    at_us: u64,
}

impl Issuer {
    /// The public keys, at most [`KEY_SET_AGE_SECONDS`] old.
    ///
    /// # Errors
    /// They were not read for that long, because the store does not answer.
    pub async fn published_keys(&self) -> Result<PublishedKeys, IssuerError> {
        if let Some(kept) = self.last_keys.0.load_full().and_then(|read| self.usable(&read)) {
            return Ok(kept);
        }
        self.look_at_keys().await?;
        let read = self.last_keys.0.load_full();
        let usable = read.and_then(|read| self.usable(&read));
        usable.ok_or_else(|| IssuerError::Unavailable("the public keys were read too slowly".to_owned()))
    }

    /// Reads the public keys for whoever asks next.
    pub(super) async fn look_at_keys(&self) -> Result<(), IssuerError> {
        let at_us = self.clock.monotonic_us();
        let jwks = self.key_set().await?.jwks.to_string().into();
        self.last_keys.0.store(Some(Arc::new(Read { jwks, at_us })));
        Ok(())
    }

    fn usable(&self, read: &Read) -> Option<PublishedKeys> {
        let age_us = self.clock.monotonic_us().saturating_sub(read.at_us);
        let age = u32::try_from(age_us.div_ceil(1_000_000)).ok()?;
        Some(PublishedKeys {
            jwks: Arc::clone(&read.jwks),
            max_age_seconds: KEY_SET_AGE_SECONDS.checked_sub(age).filter(|left| *left > 0)?,
        })
    }
}
