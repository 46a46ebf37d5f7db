//! Rotates the secret of an application with overlap: the new one is good at once, the earlier ones for a while yet.

use tokenbind_index::{Expect, GeneratedSecret};
use tokenbind_proto::index::v1::{ApplicationRecord, SecretDigest};

use super::Administration;
use crate::declared::{MAX_SECRETS, client_id_problem, documents, uses_secret};
use crate::error::{FieldViolations, IssuerError};

/// The longest overlap: 30 days.
pub const MAX_OVERLAP_SECONDS: u32 = 2_592_000;

/// How often a rotation begins again because somebody else wrote in between.
const ATTEMPTS: usize = 5;

/// What a rotation answers.
#[derive(Debug)]
pub struct Rotated {
    /// The new secret, to be shown this once.
    pub secret: GeneratedSecret,
    /// When the last of the earlier secrets ends, in seconds since 1970; `None` if none is good any more.
    pub previous_expire_at: Option<i64>,
}

impl Administration {
    /// Generates a further secret of an application.
    ///
    /// # Errors
    /// [`IssuerError::Invalid`], [`IssuerError::NotFound`], [`IssuerError::DeclaredInCatalog`], or that of the store.
    pub async fn rotate_application_secret(
        &self,
        client_id: &str,
        overlap_seconds: u32,
    ) -> Result<Rotated, IssuerError> {
        let mut violations = FieldViolations::new();
        violations.problem("client_id", client_id_problem(client_id));
        let in_range = overlap_seconds <= MAX_OVERLAP_SECONDS;
        violations.require(in_range, "overlap_seconds", "must be 0 to 2592000 (30 days)");
        violations.finish()?;

        let (secret, digest) = self.new_secret();
        for _ in 0..ATTEMPTS {
            let stored = documents::get_own::<ApplicationRecord>(self.store.as_ref(), client_id).await?;
            let mut record = stored.record;
            if !record.application.as_ref().is_some_and(uses_secret) {
                let useless = "does not authenticate by a secret: change its `client_authentication` first";
                return Err(IssuerError::invalid_field("client_id", useless));
            }
            let now = i64::try_from(self.clock.now_seconds()).unwrap_or(i64::MAX);
            let previous_expire_at = rotate(&mut record.secrets, digest.clone(), now, overlap_seconds);
            let expect = Expect::Version(stored.version);
            if documents::put(self.store.as_ref(), client_id, &record, expect)
                .await?
                .is_some()
            {
                self.applications.forget(client_id);
                return Ok(Rotated {
                    secret,
                    previous_expire_at,
                });
            }
        }
        Err(IssuerError::Conflict("application"))
    }
}

/// Adds a secret behind the earlier ones, which end after the overlap or when they would have ended anyway, whichever is
/// sooner. Over the limit the oldest go. Answers when the last of the earlier ones ends.
fn rotate(secrets: &mut Vec<SecretDigest>, new: SecretDigest, now: i64, overlap_seconds: u32) -> Option<i64> {
    let end = now.saturating_add(i64::from(overlap_seconds));
    for secret in secrets.iter_mut() {
        secret.expires_at = if secret.expires_at == 0 {
            end
        } else {
            secret.expires_at.min(end)
        };
    }
    secrets.retain(|secret| secret.expires_at > now);
    let surplus = secrets.len().saturating_sub(MAX_SECRETS - 1);
    secrets.drain(..surplus);
    let previous_expire_at = secrets.iter().map(|secret| secret.expires_at).max();
    secrets.push(new);
    previous_expire_at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(byte: u8, expires_at: i64) -> SecretDigest {
        SecretDigest {
            sha256: vec![byte],
            expires_at,
        }
    }

    #[test]
    fn the_earlier_secret_ends_after_the_overlap() {
        let mut secrets = vec![secret(1, 0)];
        assert_eq!(rotate(&mut secrets, secret(2, 0), 100, 60), Some(160));
        assert_eq!(secrets, [secret(1, 160), secret(2, 0)]);
    }

    #[test]
    fn a_longer_overlap_revives_and_prolongs_nothing() {
        let mut secrets = vec![secret(1, 90), secret(2, 130), secret(3, 0)];
        assert_eq!(rotate(&mut secrets, secret(4, 0), 100, 60), Some(160));
        assert_eq!(secrets, [secret(2, 130), secret(3, 160), secret(4, 0)]);
    }

    #[test]
    fn without_overlap_the_earlier_secrets_end_at_once() {
        let mut secrets = vec![secret(1, 200), secret(2, 0)];
        assert_eq!(rotate(&mut secrets, secret(3, 0), 100, 0), None);
        assert_eq!(secrets, [secret(3, 0)]);
    }

    #[test]
    fn at_most_five_are_good_and_the_oldest_goes_first() {
        let mut secrets = Vec::new();
        for byte in 1..=7 {
            rotate(&mut secrets, secret(byte, 0), 100, 60);
        }
        let kept: Vec<_> = secrets.iter().map(|one| one.sha256[0]).collect();
        assert_eq!(kept, [3, 4, 5, 6, 7]);
    }
}
