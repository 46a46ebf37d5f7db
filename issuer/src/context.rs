//! What the use cases share.

use std::sync::Arc;

use tokenbind_index::{Clock, Entropy, Namespace, Store};

use crate::applications::Applications;
use crate::directory::Directory;
use crate::opaque::OpaqueKeys;
use crate::password::PasswordPool;
use crate::signing::KeyRing;
use crate::throttle::Throttle;
use crate::trust::Trust;

/// What the use cases share. Cheap to clone: every part is shared.
#[derive(Clone)]
pub struct Issuer {
    /// Where tokens and documents are.
    pub store: Arc<dyn Store>,
    /// Those of the store that tokens are issued to.
    pub applications: Arc<Applications>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// The tenant of every binding ref.
    pub namespace: Namespace,
    /// The claim `iss`.
    pub issuer_url: Arc<str>,
    /// Signs JWTs.
    pub keys: Arc<KeyRing>,
    /// Derive opaque tokens.
    pub opaque_keys: Arc<OpaqueKeys>,
    /// Hashes and verifies passwords.
    pub passwords: Arc<PasswordPool>,
    /// Where users are.
    pub directory: Directory,
    /// Holds up who guesses.
    pub throttle: Arc<Throttle>,
    /// Whose tokens are accepted, and what may be exchanged.
    pub trust: Arc<Trust>,
}
