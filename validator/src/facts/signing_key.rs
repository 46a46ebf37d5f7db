//! A published public key, ready to verify with.

use std::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use prost::Message as _;
use thiserror::Error;
use tokenbind_proto::index::v1::SigningKeyRecord;

/// A published key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum BadKey {
    #[error("the record cannot be read")]
    Record,
    #[error("the JWK cannot be read")]
    Jwk,
    #[error("its `kid` is not the name that it is published under")]
    Kid,
    #[error("its `alg`, `kty` and `crv` are not EdDSA with Ed25519, ES256 with P-256, or RS256 with RSA")]
    Algorithm,
    #[error("its key material is not valid")]
    Material,
}

/// A public key with the one algorithm and the one issuer that it is for.
///
/// The key is parsed when it is loaded: parsing it again for each token would cost as much as the rest of the call.
pub(super) struct SigningKey {
    alg: &'static str,
    public: ParsedPublicKey,
    issuer: String,
    expires_at: u64,
}

impl SigningKey {
    /// Reads what is published under `kid`.
    pub(super) fn from_record(kid: &str, body: &[u8]) -> Result<Self, BadKey> {
        let record = SigningKeyRecord::decode(body).map_err(|_| BadKey::Record)?;
        let jwk: Jwk = serde_json::from_str(&record.jwk_json).map_err(|_| BadKey::Jwk)?;
        if jwk.common.key_id.as_deref() != Some(kid) {
            return Err(BadKey::Kid);
        }
        let (alg, public) = parse(&jwk)?;
        Ok(Self {
            alg,
            public,
            issuer: record.issuer,
            expires_at: record.expires_at.try_into().unwrap_or(0),
        })
    }

    /// The only `alg` that it verifies. The token's own must be equal: it never chooses (RFC 8725, section 3.1).
    pub(super) fn alg(&self) -> &'static str {
        self.alg
    }

    /// The only `iss` that it may sign.
    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Whether a token that it signed can still live.
    pub(super) fn is_live(&self, now_seconds: u64) -> bool {
        now_seconds < self.expires_at
    }

    /// Whether it made this signature.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.public.verify_sig(message, signature).is_ok()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("SigningKey");
        debug
            .field("alg", &self.alg)
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

fn parse(jwk: &Jwk) -> Result<(&'static str, ParsedPublicKey), BadKey> {
    if matches!(&jwk.common.public_key_use, Some(usage) if *usage != PublicKeyUse::Signature) {
        return Err(BadKey::Algorithm);
    }
    match (jwk.common.key_algorithm, &jwk.algorithm) {
        (Some(KeyAlgorithm::EdDSA), AlgorithmParameters::OctetKeyPair(key)) if key.curve == EllipticCurve::Ed25519 => {
            let public = ParsedPublicKey::new(&ED25519, decode(&key.x)?);
            Ok(("EdDSA", public.map_err(|_| BadKey::Material)?))
        }
        (Some(KeyAlgorithm::ES256), AlgorithmParameters::EllipticCurve(key)) if key.curve == EllipticCurve::P256 => {
            let point = uncompressed_point(&decode(&key.x)?, &decode(&key.y)?)?;
            let public = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
            Ok(("ES256", public.map_err(|_| BadKey::Material)?))
        }
        (Some(KeyAlgorithm::RS256), AlgorithmParameters::RSA(key)) => {
            let components = RsaPublicKeyComponents {
                n: decode(&key.n)?,
                e: decode(&key.e)?,
            };
            let public = components.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256);
            Ok(("RS256", public.map_err(|_| BadKey::Material)?))
        }
        _ => Err(BadKey::Algorithm),
    }
}

/// SEC 1, section 2.3.3. Both coordinates have their full length, so none can lend bytes to the other.
fn uncompressed_point(x: &[u8], y: &[u8]) -> Result<[u8; 65], BadKey> {
    if x.len() != 32 || y.len() != 32 {
        return Err(BadKey::Material);
    }
    let mut point = [4; 65];
    point[1..33].copy_from_slice(x);
    point[33..].copy_from_slice(y);
    Ok(point)
}

fn decode(member: &str) -> Result<Vec<u8>, BadKey> {
    URL_SAFE_NO_PAD.decode(member).map_err(|_| BadKey::Material)
}
