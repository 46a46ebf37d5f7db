//! The keys of an issuer: those that sign JWTs, and those that opaque tokens are derived with. They are files; the index tells
//! every issuer which ones there are and from when on each is used, and every validator the public halves.

mod files;
mod ring;
mod shared;
mod sync;
mod timer;

use serde_json::{Value, json};
use tokenbind_index::{DocumentKind, UNTRUSTED};

pub(crate) use self::files::KeyFile;
pub use self::files::KeyFileError;
pub use self::ring::{Held, Key, Ring};
pub use self::sync::Renew;
pub use self::timer::RotationTimer;
use crate::context::Issuer;
use crate::error::IssuerError;
use crate::opaque::OpaqueKey;
use crate::signing::SigningKey;
use crate::telemetry;

/// How often the end of a published key is moved on, in seconds. Far less than what it outlives its tokens by.
pub const REFRESH_SECONDS: u64 = 900;

/// The public keys and which one signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySet {
    /// A JWK Set (RFC 7517, section 5).
    pub jwks: Value,
    /// The `kid` that signs here.
    pub active_key_id: String,
}

/// What became of a rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The `kid` that signs here now.
    pub active_key_id: String,
    /// The newest key.
    pub newest_key_id: String,
    /// From when on the newest key signs, in seconds since 1970.
    pub use_from: i64,
}

/// When a rotation takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// When everybody who verifies knows the key.
    Known,
    /// Now: the key before is not to be trusted any more.
    Now,
}

impl Issuer {
    /// Publishes the keys that this issuer has, takes back those that no live token can depend on, and uses the newest whose time has
    /// come. To be called before the first signature and every [`REFRESH_SECONDS`].
    pub async fn publish_keys(&self) -> Result<(), IssuerError> {
        self.keep_keys(Renew::Yes).await?;
        self.drop_expired::<SigningKey>().await?;
        self.drop_expired::<OpaqueKey>().await
    }

    /// What has to be done again and again: takes in what changed of the files, publishes what the index does not have, and uses the
    /// newest keys whose time has come. The answer says whether the index had lost something.
    pub async fn keep_keys(&self, renew: Renew) -> Result<bool, IssuerError> {
        // By a wrong clock it would take back what others still use.
        if !self.clock.is_trusted() {
            return Err(IssuerError::Unavailable(UNTRUSTED.to_owned()));
        }
        let signing = self.keep(&self.keys, renew).await?;
        let opaque = self.keep(self.opaque_keys.ring(), renew).await?;
        self.opaque_keys.set_lacking(&opaque.lacking);
        if let Some(timer) = &self.rotation {
            timer.turn(self, signing.newest_from, signing.active_from);
        }
        Ok(signing.lost || opaque.lost)
    }

    async fn keep<K: shared::Shared>(&self, ring: &Ring<K>, renew: Renew) -> Result<sync::Synced, IssuerError> {
        match ring.reload(false) {
            Ok(false) => {}
            Ok(true) => {
                telemetry::key_files_read(K::WORD, true);
                // Which one that is goes by the names: not always what was meant.
                tracing::info!(kind = K::WORD, keys = ?ring, newest = ring.look().newest().id(), "the key files have changed");
            }
            // What is there goes on.
            Err(error) => {
                telemetry::key_files_read(K::WORD, false);
                tracing::error!(kind = K::WORD, %error, "the key files have changed and cannot be used: the old keys stay");
            }
        }
        self.sync(ring, renew).await
    }

    /// Takes in the newest key, or generates one where keys are generated, and publishes it: it signs when everybody knows it, or
    /// [now](When::Now). Without a newer key nothing changes.
    pub async fn rotate_signing_key(&self, when: When) -> Result<Rotation, IssuerError> {
        let before = self.keys.active().key_id().to_owned();
        if self.keys.is_generated() {
            self.keys.add(crate::signing::generate(self.entropy.as_ref())?);
        } else {
            let read = self.keys.reload(true);
            read.map_err(|error| IssuerError::Internal(error.to_string()))?;
        }
        if when == When::Now {
            let now = self.now();
            self.publish(self.keys.held().newest().as_ref(), now, Some(now)).await?;
        }
        let synced = self.sync(&self.keys, Renew::No).await?;
        let held = self.keys.held();
        let rotation = Rotation {
            active_key_id: held.active().id().to_owned(),
            newest_key_id: held.newest().id().to_owned(),
            use_from: synced.newest_from,
        };
        if rotation.newest_key_id != before {
            telemetry::signing_key_rotated(&rotation);
        }
        Ok(rotation)
    }

    /// Every public key that verifies tokens of this issuer.
    pub async fn key_set(&self) -> Result<KeySet, IssuerError> {
        let now = self.now();
        let mut jwks = Vec::new();
        for (_, document) in self.documents(DocumentKind::SigningKey).await? {
            let record = shared::signing_record(&document.body)?;
            if record.expires_at > now && record.issuer == *self.issuer_url {
                let jwk: Value = serde_json::from_str(&record.jwk_json)
                    .map_err(|error| IssuerError::Internal(format!("a published key cannot be read: {error}")))?;
                jwks.push(jwk);
            }
        }
        Ok(KeySet {
            jwks: json!({ "keys": jwks }),
            active_key_id: self.keys.active().key_id().to_owned(),
        })
    }
}
