//! What the use cases share.

use std::sync::Arc;
use std::time::Duration;

use tokenbind_index::{Clock, Entropy, Namespace, Store};

use crate::applications::Applications;
use crate::directory::Directory;
use crate::keys::{LastKeys, RotationTimer};
use crate::opaque::OpaqueKeys;
use crate::password::PasswordPool;
use crate::signing::KeyRing;
use crate::throttle::Throttle;
use crate::trust::CurrentTrust;

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
    /// The public keys of all issuers, as they were read last.
    pub last_keys: Arc<LastKeys>,
    /// Derive opaque tokens.
    pub opaque_keys: Arc<OpaqueKeys>,
    /// How long a new key is known before it is used.
    pub key_wait: Duration,
    /// Makes signing keys by the clock.
    pub rotation: Option<RotationTimer>,
    /// Hashes and verifies passwords.
    pub passwords: Arc<PasswordPool>,
    /// Where users are.
    pub directory: Directory,
    /// Holds up who guesses.
    pub throttle: Arc<Throttle>,
    /// Whose tokens are accepted, and what may be exchanged.
    pub trust: Arc<CurrentTrust>,
}
