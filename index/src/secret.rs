//! Secrets that are generated here, and so need no slow hash.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};

use crate::digest::sha256;
use crate::entropy::Entropy;

/// A secret with 256 bits of entropy, shown once.
///
/// Nobody can guess it, so its digest may be fast: a hash that is slow on purpose would only slow each token request.
#[derive(Clone, Debug)]
pub struct GeneratedSecret(SecretString);

impl GeneratedSecret {
    /// What a secret begins with; secret scanners look for it.
    pub const PREFIX: &'static str = "tbs_";

    /// A new secret: the prefix and 43 characters of base64url.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0; 32];
        entropy.fill(&mut bytes);
        let secret = Self((Self::PREFIX.to_owned() + &URL_SAFE_NO_PAD.encode(bytes)).into());
        zeroize::Zeroize::zeroize(&mut bytes);
        secret
    }

    /// What is stored of it.
    pub fn hash(&self) -> SecretHash {
        SecretHash::of(self.0.expose_secret())
    }

    /// The text, to be answered once.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// SHA-256 of a generated secret.
#[derive(Clone)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// The hash of a presented secret.
    pub fn of(secret: &str) -> Self {
        Self(sha256(secret.as_bytes()))
    }

    /// The bytes to store.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Compares with a stored hash, in a time that does not depend on where they differ.
    pub fn matches(&self, stored: &[u8]) -> bool {
        verify_slices_are_equal(&self.0, stored).is_ok()
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(..)")
    }
}
