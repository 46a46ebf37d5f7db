//! A published public key, ready to verify with.

use std::fmt;

use prost::Message as _;
use thiserror::Error;
use tokenbind_jose::{Algorithm, PublicKey};
use tokenbind_proto::index::v1::SigningKeyRecord;

/// What issuers of ours sign with.
const ALGORITHMS: [Algorithm; 3] = [Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256];

/// A published key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum BadKey {
    #[error("the record cannot be read")]
    Record,
    #[error("its `kid` is not the name that it is published under")]
    Kid,
    #[error(transparent)]
    Jwk(#[from] tokenbind_jose::BadKey),
}

/// A public key with the one algorithm and the one issuer that it is for.
///
/// The key is parsed when it is loaded: parsing it again for each token would cost as much as the rest of the call.
pub(super) struct SigningKey {
    public: PublicKey,
    issuer: String,
    expires_at: u64,
}

impl SigningKey {
    /// Reads what is published under `kid`.
    pub(super) fn from_record(kid: &str, body: &[u8]) -> Result<Self, BadKey> {
        let record = SigningKeyRecord::decode(body).map_err(|_| BadKey::Record)?;
        let public = PublicKey::from_jwk(&record.jwk_json, &ALGORITHMS)?;
        if public.kid() != Some(kid) {
            return Err(BadKey::Kid);
        }
        Ok(Self {
            public,
            issuer: record.issuer,
            expires_at: record.expires_at.try_into().unwrap_or(0),
        })
    }

    /// What verifies.
    pub(super) fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The only `iss` that it may sign.
    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Whether a token that it signed can still live.
    pub(super) fn is_live(&self, now_seconds: u64) -> bool {
        now_seconds < self.expires_at
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("SigningKey");
        debug
            .field("public", &self.public)
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}
