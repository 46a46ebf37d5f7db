//! V10 for resources that choose otherwise: what a JWT was when the index was last heard.

use tokenbind_index::{IndexError, TokenDigest};
use tokenbind_proto::v1::TokenFormat;

use super::documents::Bound;
use super::source::FactSource;
use super::{Facts, NoFacts};
use crate::question::Consistency;
use crate::verdict::Freshness;

impl FactSource {
    /// What is known of a token, as fresh as the question wants it, or, for want of an index, as it was when the index was
    /// last heard, at most `allow_stale_us` ago.
    ///
    /// # Errors
    /// See [`NoFacts`].
    pub async fn resolve_or_last_known(
        &self,
        token: &str,
        consistency: Consistency,
        allow_stale_us: u64,
    ) -> Result<Facts, NoFacts> {
        if allow_stale_us == 0 || consistency != Consistency::MinimizeLatency {
            return self.resolve(token, consistency).await;
        }
        if Bound::of(consistency, self.tracking.as_deref()) == Bound::Now
            && let Some(facts) = self.last_known(token, allow_stale_us)
            && self.reach.is_lost(self.clock.monotonic_us())
        {
            return Ok(facts);
        }
        match self.resolve(token, consistency).await {
            Err(NoFacts::Unavailable(error @ IndexError::Unavailable(_))) => {
                self.reach.failed(self.clock.monotonic_us());
                let known = self.last_known(token, allow_stale_us);
                known.ok_or(NoFacts::Unavailable(error))
            }
            Ok(facts) => {
                self.reach.answered();
                Ok(facts)
            }
            refused => refused,
        }
    }

    /// What a JWT says is signed; an opaque token is nothing but its record, and so nothing without the index.
    fn last_known(&self, token: &str, allow_stale_us: u64) -> Option<Facts> {
        // Before it is known how old it is: never younger than it says.
        let checked_at_us = self.clock.now_us();
        if !self.clock.is_trusted() {
            return None;
        }
        let tracking = self.tracking.as_deref()?;
        let token = self.cache.as_ref()?.last(&TokenDigest::of(token))?;
        if token.grant.format != TokenFormat::Jwt {
            return None;
        }
        let keeping = token.kept()?;
        let mut age_us = tracking.last_known(&keeping.stamp)?.age_us;
        let application = if token.grant.client_id.is_empty() {
            None
        } else {
            let (application, known) = self.applications.last_known_by(&keeping.application)?;
            age_us = age_us.max(known.age_us);
            application.as_deref().copied()
        };
        let (key, known) = self.keys.of(token.grant.format).last_known_by(&keeping.key)?;
        age_us = age_us.max(known.age_us);
        (age_us <= allow_stale_us).then(|| Facts {
            key: key.as_deref().copied(),
            freshness: Freshness::of_cache(checked_at_us, token.revision, age_us),
            token,
            application,
        })
    }
}
