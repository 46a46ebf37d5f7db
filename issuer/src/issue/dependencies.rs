//! What a token was granted on must still be live when it is handed out.

use secrecy::ExposeSecret as _;
use tokenbind_index::TokenDigest;

use super::granted::Token;
use super::write::Written;
use crate::context::Issuer;
use crate::error::IssuerError;
use crate::grant::Dependency;

impl Issuer {
    /// A token that was exchanged for one that died meanwhile is void. Whoever revokes does so before this looks, or after the
    /// token was written: then that revocation meets it as it meets every token of the subject.
    pub(super) async fn confirm_dependencies(
        &self,
        token: &Token,
        written: &Written,
        dependencies: &[Dependency],
    ) -> Result<(), IssuerError> {
        for dependency in dependencies {
            let in_slot = dependency.locator.home == token.home && dependency.locator.slot == token.slot;
            let alive = if in_slot {
                was_in_slot(dependency, written)
            } else {
                self.live_token(dependency.token.expose_secret()).await?.is_some()
            };
            if !alive {
                // What was answered again was there before, and others hold it.
                if !written.issued.reused {
                    self.store.revoke_token(token.home, token.slot, &written.record).await?;
                }
                return Err(ended_meanwhile(dependency.field));
            }
        }
        Ok(())
    }
}

/// The token of this field died between its proof and the write.
pub(super) fn ended_meanwhile(field: &'static str) -> IssuerError {
    IssuerError::invalid_field(field, "ended meanwhile")
}

/// Whether a token was still in the slot that was written: it is the one that was answered again, or has been replaced (a JWT by
/// the new one alone; of an opaque token, because its key is gone).
fn was_in_slot(dependency: &Dependency, written: &Written) -> bool {
    if written.issued.reused {
        written.record.digest == TokenDigest::of(dependency.token.expose_secret()).0
    } else {
        written.issued.superseded
    }
}
