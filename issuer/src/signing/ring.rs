//! The keys of an issuer: one signs, all are published.

use std::path::Path;

use aws_lc_rs::signature::Ed25519KeyPair;
use pem::{EncodeConfig, LineEnding, Pem, encode_config};
use tokenbind_index::Entropy;
use zeroize::Zeroizing;

use super::key::SigningKey;
use crate::error::IssuerError;
use crate::keys::{Held, KeyFile, KeyFileError, Ring};

/// What an issuer holds at one moment.
pub type Keys = Held<SigningKey>;

/// The keys that an issuer holds now.
pub type KeyRing = Ring<SigningKey>;

impl KeyRing {
    /// Reads a key file, or a directory of them: the last by name is the newest.
    pub fn load(path: &Path) -> Result<Self, KeyFileError> {
        Self::open(path, |file: &KeyFile| {
            SigningKey::parse(&file.content).map_err(|problem| KeyFileError::new(&file.path, problem))
        })
    }

    /// A new Ed25519 key that only this process has: for development.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, IssuerError> {
        Ok(Self::of(generate(entropy)?))
    }
}

/// A new Ed25519 key.
pub(crate) fn generate(entropy: &dyn Entropy) -> Result<SigningKey, IssuerError> {
    SigningKey::from_seed(&seed(entropy)).map_err(IssuerError::Internal)
}

/// A new Ed25519 key as PEM (PKCS#8).
///
/// # Errors
/// The cryptographic library failed.
pub fn generate_pem(entropy: &dyn Entropy) -> Result<Zeroizing<String>, String> {
    let failed = "the key cannot be generated";
    let pair = Ed25519KeyPair::from_seed_unchecked(seed(entropy).as_slice()).map_err(|_| failed)?;
    let der = pair.to_pkcs8v1().map_err(|_| failed)?;
    let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
    Ok(Zeroizing::new(encode_config(
        &Pem::new("PRIVATE KEY", der.as_ref()),
        config,
    )))
}

fn seed(entropy: &dyn Entropy) -> Zeroizing<[u8; 32]> {
    let mut seed = Zeroizing::new([0; 32]);
    entropy.fill(seed.as_mut_slice());
    seed
}
