//! What turns old with the next change of a token's facts.

use tokenbind_index::{IndexError, Stamp, TokenDigest};

use super::TokenFacts;
use super::known::KnownToken;
use super::source::FactSource;

impl FactSource {
    /// Stamps of a token's record, of its application and of its key. What changed before they were taken is not told: look again once
    /// they are there.
    ///
    /// # Errors
    /// The index cannot be asked, or does not tell its changes.
    pub async fn stamps(&self, token: &str, facts: &TokenFacts) -> Result<[Stamp; 3], IndexError> {
        let unheard = || IndexError::Unavailable("changes are not being told".to_owned());
        let tracking = self.tracking.as_deref().ok_or_else(unheard)?;
        let kept = self
            .cache
            .as_ref()
            .and_then(|cache| cache.last(&TokenDigest::of(token)));
        let kept = kept.as_deref().and_then(KnownToken::kept);
        let kept = kept.filter(|keeping| tracking.is_current(&keeping.stamp));
        let (record, key) = if let Some(keeping) = kept {
            let keys = self.keys.of(facts.grant.format);
            (keeping.stamp, keys.stamp_of(&keeping.key).await?)
        } else {
            let read = tracking.read_tracked(&facts.locator).await?;
            (read.stamp, self.key_stamp(token, read.value.as_ref()).await?)
        };
        let application = self.applications.stamp(&facts.grant.client_id).await?;
        Ok([record, application, key])
    }
}
