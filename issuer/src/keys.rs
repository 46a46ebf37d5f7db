//! Publishes the public keys, so that a validator needs no issuer to be up.

use prost::Message as _;
use serde_json::{Value, json};
use tokenbind_index::{Delete, Document, DocumentKind, Expect, Put};
use tokenbind_proto::index::v1::SigningKeyRecord;

use crate::application::OUTLIVES_TOKENS_SECONDS;
use crate::context::Issuer;
use crate::error::IssuerError;
use crate::signing::{Keys, SigningKey};
use crate::telemetry::AUDIT;

/// How often the end of a published key is moved on, in seconds. Far less than what it outlives its tokens by.
pub const REFRESH_SECONDS: u64 = 900;
/// Issuers that start together write the same documents.
const ATTEMPTS: usize = 5;
const PAGE: usize = 100;
/// More keys than this are not of one installation. They are not listed, and verifiers of ours need no list.
const MAX_KEYS: usize = 1_000;

/// The public keys and which one signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySet {
    /// A JWK Set (RFC 7517, section 5).
    pub jwks: Value,
    /// The `kid` that signs here.
    pub active_key_id: String,
}

impl Issuer {
    /// Publishes the keys that this issuer has, and takes back those that no live token can have been signed with. To be called
    /// before the first signature and every [`REFRESH_SECONDS`].
    pub async fn publish_keys(&self) -> Result<(), IssuerError> {
        self.publish(&self.keys.keys()).await?;
        self.drop_expired().await
    }

    /// Whether the key that signs here can be found by those who verify.
    pub async fn keys_are_published(&self) -> Result<bool, IssuerError> {
        let keys = self.keys.keys();
        let stored = self.store.document(DocumentKind::SigningKey, keys.active().key_id());
        Ok(stored.await?.is_some())
    }

    /// Publishes the next keys, and only then signs with them.
    pub async fn rotate_signing_key(&self) -> Result<String, IssuerError> {
        let next = self.keys.next(self.entropy.as_ref())?;
        self.publish(&next).await?;
        let key_id = next.active().key_id().to_owned();
        self.keys.switch(next);
        tracing::info!(target: AUDIT, event = "signing_key_rotated", key_id);
        Ok(key_id)
    }

    /// Every public key that verifies tokens of this issuer.
    pub async fn key_set(&self) -> Result<KeySet, IssuerError> {
        let now = self.now();
        let mut jwks = Vec::new();
        for (_, document) in self.published().await? {
            let record = decode(&document)?;
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

    async fn publish(&self, keys: &Keys) -> Result<(), IssuerError> {
        for key in keys.iter() {
            self.publish_one(key).await?;
        }
        Ok(())
    }

    async fn publish_one(&self, key: &SigningKey) -> Result<(), IssuerError> {
        for _ in 0..ATTEMPTS {
            let stored = self.store.document(DocumentKind::SigningKey, key.key_id()).await?;
            let mut expires_at = self.now() + i64::from(OUTLIVES_TOKENS_SECONDS);
            let expect = match &stored {
                None => Expect::Absent,
                Some(document) => {
                    let published = decode(document)?;
                    if published.issuer != *self.issuer_url {
                        return Err(self.foreign(key, &published));
                    }
                    // Another issuer's clock may be ahead: an end is never moved back.
                    expires_at = expires_at.max(published.expires_at);
                    Expect::Version(document.version)
                }
            };
            let jwk_json = key.public_jwk().to_string();
            let record = SigningKeyRecord {
                jwk_json,
                issuer: self.issuer_url.to_string(),
                expires_at,
            };
            let body = record.encode_to_vec();
            match self
                .store
                .put_document(DocumentKind::SigningKey, key.key_id(), body, expect)
                .await?
            {
                Put::Stored { .. } => return Ok(()),
                Put::Conflict => {}
            }
        }
        Err(IssuerError::Unavailable(
            "other issuers keep publishing the same key".to_owned(),
        ))
    }

    /// A key signs for one `iss` alone, or a token of one issuer would be good at the validators of another.
    fn foreign(&self, key: &SigningKey, published: &SigningKeyRecord) -> IssuerError {
        IssuerError::Internal(format!(
            "the signing key {} is published for the issuer {}, not for {}: use another key or the same --issuer",
            key.key_id(),
            published.issuer,
            self.issuer_url
        ))
    }

    async fn drop_expired(&self) -> Result<(), IssuerError> {
        let now = self.now();
        for (key_id, document) in self.published().await? {
            if decode(&document)?.expires_at > now {
                continue;
            }
            let expect = Expect::Version(document.version);
            match self
                .store
                .delete_document(DocumentKind::SigningKey, &key_id, expect, 0)
                .await?
            {
                Delete::Deleted => tracing::info!(key_id, "took back a public key that signed no live token"),
                // Somebody else was faster, or holds the key and moved its end on.
                Delete::Absent | Delete::Conflict => {}
            }
        }
        Ok(())
    }

    async fn published(&self) -> Result<Vec<(String, Document)>, IssuerError> {
        let mut all: Vec<(String, Document)> = Vec::new();
        while all.len() < MAX_KEYS {
            let after = all.last().map(|(key_id, _)| key_id.clone());
            let page = self
                .store
                .documents(DocumentKind::SigningKey, after.as_deref(), PAGE)
                .await?;
            let end = page.len() < PAGE;
            all.extend(page);
            if end {
                break;
            }
        }
        Ok(all)
    }

    fn now(&self) -> i64 {
        i64::try_from(self.clock.now_seconds()).unwrap_or(i64::MAX)
    }
}

fn decode(document: &Document) -> Result<SigningKeyRecord, IssuerError> {
    SigningKeyRecord::decode(document.body.as_slice())
        .map_err(|error| IssuerError::Internal(format!("a published key cannot be read: {error}")))
}
