//! What administrators do: applications, users and resources are made, read, changed and deleted.
//!
//! What the catalog file declares is read-only here. A change is written only over the version that it was made from, so of
//! two administrators at once one is told to look again.

mod applications;
mod mask;
mod page;
mod resources;
mod secrets;
#[cfg(test)]
mod tests;
mod users;

use std::sync::Arc;

use tokenbind_index::{Clock, Entropy, Store};
use tokenbind_proto::index::v1::SecretDigest;

pub use self::page::{Page, PageRequest};
pub use self::secrets::{MAX_OVERLAP_SECONDS, Rotated};
use crate::admin_access::Administrator;
use crate::applications::Applications;
use crate::context::Issuer;
use crate::error::IssuerError;
use crate::password::PasswordPool;

/// Administers what is declared in a store.
#[derive(Clone)]
pub struct Administration {
    store: Arc<dyn Store>,
    applications: Arc<Applications>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    passwords: Arc<PasswordPool>,
}

impl Administration {
    /// Administers the issuer's store.
    pub fn of(issuer: &Issuer) -> Self {
        Self {
            store: Arc::clone(&issuer.store),
            applications: Arc::clone(&issuer.applications),
            clock: Arc::clone(&issuer.clock),
            entropy: Arc::clone(&issuer.entropy),
            passwords: Arc::clone(&issuer.passwords),
        }
    }

    fn new_secret(&self) -> (tokenbind_index::GeneratedSecret, SecretDigest) {
        let secret = tokenbind_index::GeneratedSecret::generate(self.entropy.as_ref());
        let digest = SecretDigest {
            sha256: secret.hash().as_bytes().to_vec(),
            expires_at: 0,
        };
        (secret, digest)
    }
}

/// Leaves a trail of what an administrator did.
pub fn leave_trail(administrator: &Administrator, event: &'static str, id: &str) {
    let by = administrator.client_id.as_str();
    tracing::info!(target: crate::telemetry::AUDIT, event, id, by);
}

/// Refuses an id that nothing can have, before the store is asked for it.
fn check_id(field: &str, problem: Option<&'static str>) -> Result<(), IssuerError> {
    problem.map_or(Ok(()), |description| {
        Err(IssuerError::invalid_field(field, description))
    })
}

/// The message that a request is about must be there.
fn present<T>(message: Option<T>, field: &str) -> Result<T, IssuerError> {
    message.ok_or_else(|| IssuerError::invalid_field(field, "must be set"))
}
