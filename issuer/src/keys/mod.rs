//! The keys of an issuer: those that sign JWTs, and those that opaque tokens are derived with. They are files; the index tells
//! every issuer which ones there are and from when on each is used, and every validator the public halves.

mod files;
mod published;
mod ring;
mod shared;
mod sync;
mod timer;

use std::sync::Arc;

use serde_json::{Value, json};
use tokenbind_index::{DocumentKind, Revision, UNTRUSTED};
use tokenbind_jose::CompactJws;
use tokenbind_proto::index::v1::TokenRecord;
use tokenbind_proto::v1::TokenFormat;

pub(crate) use self::files::KeyFile;
pub use self::files::KeyFileError;
pub use self::published::{KEY_SET_AGE_SECONDS, LastKeys, PublishedKeys};
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

/// What became of a withdrawal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawal {
    /// The key that this issuer uses now.
    pub active_key_id: String,
    /// When it was written down, by the store's clock.
    pub revision: Revision,
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
        self.look_at_keys().await?;
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
        self.look_at_keys().await?;
        Ok(rotation)
    }

    /// Withdraws a key that signs, for good: what it signed is dead, and the newest other one signs at once.
    ///
    /// # Errors
    /// [`IssuerError::NotFound`]; [`IssuerError::OnlyOne`]; or that of the store: then it may be done, and doing it again does no
    /// harm.
    pub async fn withdraw_signing_key(&self, key_id: &str) -> Result<Withdrawal, IssuerError> {
        self.withdraw(&self.keys, key_id).await
    }

    /// The same of a key that opaque tokens and refresh tokens are derived with.
    ///
    /// # Errors
    /// As of a signing key.
    pub async fn withdraw_opaque_key(&self, key_id: &str) -> Result<Withdrawal, IssuerError> {
        self.withdraw(self.opaque_keys.ring(), key_id).await
    }

    async fn withdraw<K: shared::Shared>(&self, ring: &Ring<K>, key_id: &str) -> Result<Withdrawal, IssuerError> {
        let document = self.store.document(K::KIND, key_id).await?;
        let state = document.map(|document| K::read(&document.body, &self.issuer_url));
        state.transpose()?.flatten().ok_or(IssuerError::NotFound("key"))?;
        let read = ring.reload(true);
        read.map_err(|error| IssuerError::Internal(error.to_string()))?;
        let held = ring.held();
        let next = held.iter().rfind(|key| key.id() != key_id).cloned();
        match next {
            None => self.replace(ring).await?,
            // Before the other one goes: whoever sees that it is gone finds this one.
            Some(next) if held.active().id() == key_id => {
                let now = self.now();
                self.publish(next.as_ref(), now, Some(now)).await?;
            }
            Some(_) => {}
        }
        let revision = self.bar::<K>(key_id).await.map_err(IssuerError::unconfirmed)?;
        ring.withdraw([key_id.to_owned()]);
        self.sync(ring, Renew::No).await?;
        self.look_at_keys().await?;
        Ok(Withdrawal {
            active_key_id: ring.active().id().to_owned(),
            revision,
        })
    }

    /// Makes and publishes a key for one that is the only one left, where this issuer makes keys.
    async fn replace<K: shared::Shared>(&self, ring: &Ring<K>) -> Result<(), IssuerError> {
        let now = self.now();
        if ring.is_generated() {
            let key = K::generate(self.entropy.as_ref())?;
            self.publish(&key, now, Some(now)).await?;
            ring.add(key);
            return Ok(());
        }
        if !K::make_file(self)? {
            return Err(IssuerError::OnlyOne("key"));
        }
        let read = ring.reload(true);
        read.map_err(|error| IssuerError::Internal(error.to_string()))?;
        let newest = Arc::clone(ring.held().newest());
        self.publish(newest.as_ref(), now, Some(now)).await
    }

    /// Whether a token was made with a key that was withdrawn since. `record` is its own.
    pub(crate) fn is_of_withdrawn_key(&self, token: &str, record: &TokenRecord) -> bool {
        if record.format() == TokenFormat::Opaque {
            return self.opaque_keys.is_withdrawn(&record.opaque_key_id);
        }
        let held = self.keys.look();
        let of_withdrawn = |token: CompactJws<'_>| token.kid().is_none_or(|kid| held.is_withdrawn(kid));
        !held.withdrawn().is_empty() && CompactJws::parse(token).is_none_or(of_withdrawn)
    }

    /// Every public key that verifies tokens of this issuer.
    pub async fn key_set(&self) -> Result<KeySet, IssuerError> {
        let now = self.now();
        let mut jwks = Vec::new();
        for (_, document) in self.documents(DocumentKind::SigningKey).await? {
            let record = shared::signing_record(&document.body)?;
            if record.withdrawn_at == 0 && record.expires_at > now && record.issuer == *self.issuer_url {
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
