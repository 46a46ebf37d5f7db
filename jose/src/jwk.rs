//! Public keys and sets of them (RFC 7517; RFC 7518, section 6; RFC 8037, section 2).

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::signature::{ParsedPublicKey, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use thiserror::Error;

use crate::algorithm::Algorithm;

/// A key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadKey {
    /// It is not JSON of that form.
    #[error("the JWK cannot be read")]
    Jwk,
    /// It is for something else, symmetric, or of an algorithm that is not accepted.
    #[error("it is not a public key of an accepted signature algorithm")]
    Algorithm,
    /// It holds the private half: whoever published it has lost it.
    #[error("it holds a private key")]
    Private,
    /// Its members do not make a key.
    #[error("its key material is not valid")]
    Material,
}

/// The members that are looked at. `x5u`, `x5c` and other ways to name another key mean nothing here.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: Option<String>,
    alg: Option<String>,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    d: Option<serde::de::IgnoredAny>,
}

/// A public key with the one algorithm that it verifies. Parsed once: parsing costs as much as verifying.
pub struct PublicKey {
    kid: Option<String>,
    algorithm: Algorithm,
    public: ParsedPublicKey,
}

impl PublicKey {
    /// Reads a JWK that names its own algorithm, one of `accepted`.
    pub fn from_jwk(json: &str, accepted: &[Algorithm]) -> Result<Self, BadKey> {
        let jwk: Jwk = serde_json::from_str(json).map_err(|_| BadKey::Jwk)?;
        if jwk.alg.is_none() {
            return Err(BadKey::Algorithm);
        }
        keys(&jwk, accepted)?.pop().ok_or(BadKey::Algorithm)
    }

    /// Its name, if it has one.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The only algorithm that it verifies. A token's own must be equal: it never chooses (RFC 8725, section 3.1).
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether it made this signature.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.public.verify_sig(message, signature).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("PublicKey");
        debug.field("kid", &self.kid).field("algorithm", &self.algorithm);
        debug.finish_non_exhaustive()
    }
}

/// A JWK Set, as far as it can be used.
#[derive(Clone, Debug, Default)]
pub struct PublicKeySet {
    keys: Vec<Arc<PublicKey>>,
}

impl PublicKeySet {
    /// The most keys of a set.
    pub const MAX_KEYS: usize = 100;

    /// Reads a set. A key that cannot be used is left out (RFC 7517, section 5); one that does not say its algorithm is good for
    /// those of `accepted` that fit its kind.
    ///
    /// # Errors
    /// [`BadKey::Jwk`] for what is no set, or has more than [`Self::MAX_KEYS`]; what was wrong with the last key if none can be
    /// used.
    pub fn from_json(json: &[u8], accepted: &[Algorithm]) -> Result<Self, BadKey> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<serde_json::Value>,
        }
        let set: Set = serde_json::from_slice(json).map_err(|_| BadKey::Jwk)?;
        if set.keys.len() > Self::MAX_KEYS {
            return Err(BadKey::Jwk);
        }
        let mut problem = BadKey::Algorithm;
        let mut found = Vec::new();
        for value in set.keys {
            let read = serde_json::from_value::<Jwk>(value).map_err(|_| BadKey::Jwk);
            match read.and_then(|jwk| keys(&jwk, accepted)) {
                Ok(keys) => found.extend(keys.into_iter().map(Arc::new)),
                Err(bad) => problem = bad,
            }
        }
        if found.is_empty() {
            Err(problem)
        } else {
            Ok(Self { keys: found })
        }
    }

    /// The key of this name and algorithm. A token without a `kid` means the only key of a set.
    pub fn find(&self, kid: Option<&str>, alg: &str) -> Option<&Arc<PublicKey>> {
        let mut fitting = self.keys.iter().filter(|key| key.algorithm.as_str() == alg);
        if let Some(kid) = kid {
            return fitting.find(|key| key.kid() == Some(kid));
        }
        let only = fitting.next()?;
        let others = self.keys.iter().any(|key| key.kid != only.kid);
        (!others && fitting.next().is_none()).then_some(only)
    }
}

/// A key for each algorithm that it is good for.
fn keys(jwk: &Jwk, accepted: &[Algorithm]) -> Result<Vec<PublicKey>, BadKey> {
    if jwk.d.is_some() {
        return Err(BadKey::Private);
    }
    // `jwt-svid` is what the SPIFFE bundle format calls it.
    let signs = jwk
        .usage
        .as_deref()
        .is_none_or(|usage| matches!(usage, "sig" | "jwt-svid"));
    let verifies = jwk
        .key_ops
        .as_ref()
        .is_none_or(|ops| ops.iter().any(|op| op == "verify"));
    if !signs || !verifies {
        return Err(BadKey::Algorithm);
    }
    let kind = (jwk.kty.as_str(), jwk.crv.as_deref().filter(|_| jwk.kty != "RSA"));
    let fits = |algorithm: &&Algorithm| {
        algorithm.kind() == kind && jwk.alg.as_deref().is_none_or(|alg| alg == algorithm.as_str())
    };
    let mut found = Vec::new();
    for algorithm in accepted.iter().filter(fits) {
        found.push(PublicKey {
            kid: jwk.kid.clone(),
            algorithm: *algorithm,
            public: parse(jwk, *algorithm)?,
        });
    }
    if found.is_empty() {
        Err(BadKey::Algorithm)
    } else {
        Ok(found)
    }
}

fn parse(jwk: &Jwk, algorithm: Algorithm) -> Result<ParsedPublicKey, BadKey> {
    if let Some(parameters) = algorithm.rsa() {
        let components = RsaPublicKeyComponents {
            n: member(jwk.n.as_deref())?,
            e: member(jwk.e.as_deref())?,
        };
        return components
            .to_parsed_public_key(parameters)
            .map_err(|_| BadKey::Material);
    }
    let x = member(jwk.x.as_deref())?;
    let point = match algorithm.coordinate_bytes() {
        0 => x,
        length => uncompressed_point(&x, &member(jwk.y.as_deref())?, length)?,
    };
    algorithm.point_key(&point).ok_or(BadKey::Material)
}

/// SEC 1, section 2.3.3. Both coordinates have their full length, so none can lend bytes to the other.
fn uncompressed_point(x: &[u8], y: &[u8], length: usize) -> Result<Vec<u8>, BadKey> {
    if x.len() != length || y.len() != length {
        return Err(BadKey::Material);
    }
    Ok([&[4], x, y].concat())
}

fn member(text: Option<&str>) -> Result<Vec<u8>, BadKey> {
    URL_SAFE_NO_PAD
        .decode(text.ok_or(BadKey::Material)?)
        .map_err(|_| BadKey::Material)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{
        ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
        Ed25519KeyPair, KeyPair as _,
    };
    use serde_json::{Value, json};

    use super::*;

    fn b64(bytes: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn ed25519(kid: &str) -> Value {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": b64(pair.public_key().as_ref())})
    }

    fn set(keys: &[Value]) -> Result<PublicKeySet, BadKey> {
        PublicKeySet::from_json(json!({ "keys": keys }).to_string().as_bytes(), &Algorithm::ALL)
    }

    fn with(name: &str, value: Value) -> Value {
        let mut key = ed25519("a");
        key[name] = value;
        key
    }

    #[test]
    fn the_larger_curves_verify() {
        let proves = |signing: &'static EcdsaSigningAlgorithm, crv: &str, alg: &str| {
            let pair = EcdsaKeyPair::generate(signing).unwrap();
            let (x, y) = pair.public_key().as_ref()[1..].split_at(pair.public_key().as_ref().len() / 2);
            let key = json!({"kty": "EC", "crv": crv, "kid": "k", "x": b64(x), "y": b64(y)});
            let set = set(&[key]).unwrap();
            let signature = pair.sign(&SystemRandom::new(), b"message").unwrap();
            let key = set.find(Some("k"), alg).unwrap();
            assert!(key.verifies(b"message", signature.as_ref()) && !key.verifies(b"other", signature.as_ref()));
            assert!(set.find(Some("k"), "ES256").is_none());
        };
        proves(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384", "ES384");
        proves(&ECDSA_P521_SHA512_FIXED_SIGNING, "P-521", "ES512");
    }

    #[test]
    fn a_key_that_is_not_for_this_is_left_out() {
        for (bad, problem) in [
            (json!({"kty": "oct", "k": "AAAA", "alg": "HS256"}), BadKey::Algorithm),
            (with("use", json!("enc")), BadKey::Algorithm),
            (with("key_ops", json!(["sign"])), BadKey::Algorithm),
            (with("alg", json!("ES256")), BadKey::Algorithm),
            (with("alg", json!("none")), BadKey::Algorithm),
            (with("d", json!("AAAA")), BadKey::Private),
            (with("x", json!("AAAA")), BadKey::Material),
            (with("x", json!(7)), BadKey::Jwk),
        ] {
            assert_eq!(set(std::slice::from_ref(&bad)).unwrap_err(), problem, "{bad}");
            assert!(
                set(&[bad.clone(), ed25519("b")])
                    .unwrap()
                    .find(Some("b"), "EdDSA")
                    .is_some()
            );
        }
        assert!(set(&[with("use", json!("jwt-svid"))]).is_ok());
    }

    #[test]
    fn a_token_without_kid_means_the_only_key() {
        let one = set(&[ed25519("a")]).unwrap();
        assert!(one.find(None, "EdDSA").is_some() && one.find(Some("b"), "EdDSA").is_none());
        let two = set(&[ed25519("a"), ed25519("b")]).unwrap();
        assert!(two.find(None, "EdDSA").is_none() && two.find(Some("b"), "EdDSA").is_some());
    }

    #[test]
    fn what_is_no_set_or_too_large_is_refused() {
        for bad in ["", "{}", "[]", r#"{"keys":{}}"#, r#"{"keys":[]}"#] {
            assert!(
                PublicKeySet::from_json(bad.as_bytes(), &Algorithm::ALL).is_err(),
                "{bad}"
            );
        }
        let many: Vec<_> = (0..=PublicKeySet::MAX_KEYS).map(|n| ed25519(&n.to_string())).collect();
        assert_eq!(set(&many).unwrap_err(), BadKey::Jwk);
        assert!(set(&many[1..]).is_ok());
    }
}
