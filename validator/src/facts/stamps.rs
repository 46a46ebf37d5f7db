//! What turns old with the next change of a token's facts.

use tokenbind_index::{IndexError, Stamp, TokenDigest};

use super::TokenFacts;
use super::source::FactSource;

impl FactSource {
    /// Stamps of a token's record and of its application. What changed before they were taken is not told: look again once
    /// they are there.
    ///
    /// # Errors
    /// The index cannot be asked, or does not tell its changes.
    pub async fn stamps(&self, token: &str, facts: &TokenFacts) -> Result<[Stamp; 2], IndexError> {
        let unheard = || IndexError::Unavailable("changes are not being told".to_owned());
        let tracking = self.tracking.as_deref().ok_or_else(unheard)?;
        let kept = self
            .cache
            .as_ref()
            .and_then(|cache| cache.last(&TokenDigest::of(token)));
        let kept = kept.and_then(|token| token.kept().map(|keeping| keeping.stamp));
        let kept = kept.filter(|stamp| tracking.is_current(stamp));
        let token = match kept {
            Some(stamp) => stamp,
            None => tracking.read_tracked(&facts.locator).await?.stamp,
        };
        Ok([token, self.applications.stamp(&facts.grant.client_id).await?])
    }
}
