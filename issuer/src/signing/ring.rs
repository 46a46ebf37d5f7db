//! The keys of an issuer: one signs, all are published.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokenbind_index::Entropy;
use zeroize::Zeroizing;

use super::key::SigningKey;
use crate::error::IssuerError;
use crate::key_files::{self, KeyFileError};

/// What an issuer holds at one moment. At least one key.
#[derive(Clone, Debug)]
pub struct Keys {
    active: Arc<SigningKey>,
    others: Vec<Arc<SigningKey>>,
}

impl Keys {
    /// The one that signs.
    pub fn active(&self) -> &Arc<SigningKey> {
        &self.active
    }

    /// Every one, the active one too.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<SigningKey>> {
        self.others.iter().chain([&self.active])
    }
}

/// Where keys come from when they are asked for again.
#[derive(Debug)]
enum Origin {
    Path(PathBuf),
    Generated,
}

/// The keys that an issuer holds now; to rotate is to swap all of them at once.
#[derive(Debug)]
pub struct KeyRing {
    origin: Origin,
    keys: ArcSwap<Keys>,
}

impl KeyRing {
    /// Reads a key file, or a directory of them: the last by name signs, the others are only published.
    pub fn load(path: &Path) -> Result<Self, KeyFileError> {
        let keys = read(path)?;
        Ok(Self {
            origin: Origin::Path(path.to_owned()),
            keys: ArcSwap::from_pointee(keys),
        })
    }

    /// A new Ed25519 key that only this process has: for development.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, IssuerError> {
        Ok(Self {
            origin: Origin::Generated,
            keys: ArcSwap::from_pointee(generate(entropy)?),
        })
    }

    /// The keys now.
    pub fn keys(&self) -> Arc<Keys> {
        self.keys.load_full()
    }

    /// The key that signs now.
    pub fn active(&self) -> Arc<SigningKey> {
        Arc::clone(&self.keys.load().active)
    }

    /// The keys that [`Self::switch`] should get next: those of the files as they are now, or a new one where keys are
    /// generated. They sign nothing yet.
    pub fn next(&self, entropy: &dyn Entropy) -> Result<Keys, IssuerError> {
        match &self.origin {
            Origin::Path(path) => read(path).map_err(|error| IssuerError::Internal(error.to_string())),
            Origin::Generated => generate(entropy),
        }
    }

    /// Signs with other keys from now on. They must have been published before.
    pub fn switch(&self, keys: Keys) {
        self.keys.store(Arc::new(keys));
    }
}

fn read(path: &Path) -> Result<Keys, KeyFileError> {
    let parse = |file: key_files::KeyFile| {
        SigningKey::parse(&file.content)
            .map(Arc::new)
            .map_err(|problem| KeyFileError::new(&file.path, problem))
    };
    let mut others = key_files::read(path)?
        .into_iter()
        .map(parse)
        .collect::<Result<Vec<_>, _>>()?;
    let active = others.pop().ok_or_else(|| KeyFileError::new(path, "holds no key"))?;
    Ok(Keys { active, others })
}

fn generate(entropy: &dyn Entropy) -> Result<Keys, IssuerError> {
    let mut seed = Zeroizing::new([0; 32]);
    entropy.fill(seed.as_mut_slice());
    let active = SigningKey::from_seed(&seed).map_err(IssuerError::Internal)?;
    Ok(Keys {
        active: Arc::new(active),
        others: Vec::new(),
    })
}
