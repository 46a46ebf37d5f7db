//! Answers of introspection as signed JWTs (RFC 9701), by a key that signs nothing else.
//!
//! The key is the validator's own, and so is the identity that it signs as: were it among the issuer's keys, whoever verifies
//! tokens by those alone would take a token that a validator made.

use std::fmt;
use std::path::Path;

use aws_lc_rs::signature::Ed25519KeyPair;
use jsonwebtoken::jwk::{Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

/// RFC 9701, section 5.
const TYPE: &str = "token-introspection+jwt";

/// Signs answers. Formats without its key.
pub struct IntrospectionSigner {
    key: EncodingKey,
    header: Header,
    algorithm: &'static str,
    jwks: String,
}

impl fmt::Debug for IntrospectionSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntrospectionSigner")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

impl IntrospectionSigner {
    /// Reads a private key in PEM: Ed25519, P-256 or RSA.
    ///
    /// # Errors
    /// What is wrong with the file; never what is in it.
    pub fn load(path: &Path) -> Result<Self, String> {
        let pem = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let pem = Zeroizing::new(pem);
        Self::parse(&pem).ok_or_else(|| {
            let wanted = "a private key of Ed25519, P-256 or RSA with at least 2,048 bits, in PEM (PKCS#8)";
            format!("{}: must hold {wanted}", path.display())
        })
    }

    fn parse(pem: &[u8]) -> Option<Self> {
        let ed25519 = || ed25519(pem).map(|key| (key, Algorithm::EdDSA, "EdDSA"));
        let p256 = || EncodingKey::from_ec_pem(pem).map(|key| (key, Algorithm::ES256, "ES256"));
        let rsa = || EncodingKey::from_rsa_pem(pem).map(|key| (key, Algorithm::RS256, "RS256"));
        [ed25519(), p256().ok(), rsa().ok()]
            .into_iter()
            .flatten()
            .find_map(|(key, algorithm, name)| Self::of(key, algorithm, name))
    }

    fn of(key: EncodingKey, algorithm: Algorithm, name: &'static str) -> Option<Self> {
        let mut jwk = Jwk::from_encoding_key(&key, algorithm).ok()?;
        let key_id = jwk.thumbprint(ThumbprintHash::SHA256).ok()?;
        jwk.common.key_id = Some(key_id.clone());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        let header = Header {
            typ: Some(TYPE.to_owned()),
            kid: Some(key_id),
            ..Header::new(algorithm)
        };
        let signer = Self {
            jwks: json!({ "keys": [jwk] }).to_string(),
            key,
            header,
            algorithm: name,
        };
        // A key that cannot sign is told of now.
        signer.sign("", "", 0, &Map::new())?;
        Some(signer)
    }

    /// The answer for a caller; `None` if it cannot be signed.
    pub(super) fn sign(&self, issuer: &str, caller: &str, now: u64, told: &Map<String, Value>) -> Option<String> {
        let claims = json!({"iss": issuer, "aud": caller, "iat": now, "token_introspection": told});
        encode(&self.header, &claims, &self.key).ok()
    }

    pub(super) fn algorithm(&self) -> &'static str {
        self.algorithm
    }

    pub(super) fn jwks(&self) -> &str {
        &self.jwks
    }
}

/// jsonwebtoken reads the short form alone; that with the public key beside it (RFC 5958) is as common.
fn ed25519(pem: &[u8]) -> Option<EncodingKey> {
    let der = Zeroizing::new(pem::parse(pem).ok()?.into_contents());
    let short = Ed25519KeyPair::from_pkcs8(&der).ok()?.to_pkcs8v1().ok()?;
    Some(EncodingKey::from_ed_der(short.as_ref()))
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::jwk::JwkSet;
    use jsonwebtoken::{DecodingKey, Validation, decode};
    use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256};

    use super::*;

    #[test]
    fn a_key_of_every_kind_signs_what_its_jwk_verifies() {
        for (kind, algorithm) in [
            (&PKCS_ED25519, "EdDSA"),
            (&PKCS_ECDSA_P256_SHA256, "ES256"),
            (&PKCS_RSA_SHA256, "RS256"),
        ] {
            let pem = KeyPair::generate_for(kind).unwrap().serialize_pem();
            let signer = IntrospectionSigner::parse(pem.as_bytes()).unwrap();
            assert_eq!(signer.algorithm(), algorithm);
            assert!(!signer.jwks().contains("\"d\"") && !format!("{signer:?}").contains("key"));
            let jwks: JwkSet = serde_json::from_str(signer.jwks()).unwrap();
            let told = Map::from_iter([("active".to_owned(), Value::Bool(false))]);
            let jwt = signer.sign("https://v.example", "api", 7, &told).unwrap();
            let mut validation = Validation::new(signer.header.alg);
            validation.set_audience(&["api"]);
            validation.required_spec_claims.clear();
            let key = DecodingKey::from_jwk(&jwks.keys[0]).unwrap();
            let read = decode::<Value>(&jwt, &key, &validation).unwrap();
            assert_eq!(
                (read.header.typ.as_deref(), read.header.kid),
                (Some(TYPE), jwks.keys[0].common.key_id.clone())
            );
            assert_eq!(read.claims["token_introspection"], json!({"active": false}));
        }
        let other = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap().serialize_pem();
        let public = KeyPair::generate().unwrap().public_key_pem();
        for refused in [other.as_str(), &public, "", "x"] {
            assert!(IntrospectionSigner::parse(refused.as_bytes()).is_none(), "{refused}");
        }
    }
}
