//! One key: parsed once, signs many times.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::{Value, json};
use thiserror::Error;

use crate::keys::Key;

/// A JWT could not be signed.
#[derive(Clone, Copy, Debug, Error)]
#[error("the token could not be signed")]
pub struct SignError;

/// The shortest RSA key, in bytes (RFC 7518, section 3.3).
const LEAST_RSA_BYTES: usize = 256;

pub(super) enum Pair {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

/// A private key with its names. Formats as its `kid` alone.
pub struct SigningKey {
    pair: Pair,
    key_id: String,
    public_jwk: Value,
    /// The JOSE header of every token that it signs, encoded.
    header: String,
}

impl SigningKey {
    /// Reads a key: PEM (PKCS#8, SEC 1, PKCS#1) or a private JWK (RFC 7517).
    pub(super) fn parse(content: &[u8]) -> Result<Self, String> {
        let pair = match content.trim_ascii_start().first() {
            Some(b'{') => super::jwk::parse(content)?,
            Some(_) => super::pem::parse(content)?,
            None => return Err("is empty".to_owned()),
        };
        Self::new(pair)
    }

    /// The Ed25519 key of a seed of 32 bytes.
    pub(super) fn from_seed(seed: &[u8; 32]) -> Result<Self, String> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|error| error.to_string())?;
        Self::new(Pair::Ed25519(pair))
    }

    fn new(pair: Pair) -> Result<Self, String> {
        let (algorithm, members) = match &pair {
            Pair::Ed25519(pair) => {
                let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
                ("EdDSA", json!({"crv": "Ed25519", "kty": "OKP", "x": x}))
            }
            Pair::P256(pair) => ("ES256", p256_members(pair.public_key().as_ref())?),
            Pair::Rsa(pair) if pair.public_modulus_len() < LEAST_RSA_BYTES => {
                return Err("an RSA key must have at least 2,048 bits".to_owned());
            }
            Pair::Rsa(pair) => {
                let public = pair.public_key();
                let n = URL_SAFE_NO_PAD.encode(public.modulus().big_endian_without_leading_zero());
                let e = URL_SAFE_NO_PAD.encode(public.exponent().big_endian_without_leading_zero());
                ("RS256", json!({"e": e, "kty": "RSA", "n": n}))
            }
        };
        let key_id = thumbprint(&members);
        let header = json!({"alg": algorithm, "kid": key_id, "typ": "at+jwt"});
        let mut public_jwk = members;
        public_jwk["alg"] = algorithm.into();
        public_jwk["kid"] = key_id.clone().into();
        public_jwk["use"] = "sig".into();
        Ok(Self {
            pair,
            key_id,
            public_jwk,
            header: URL_SAFE_NO_PAD.encode(header.to_string()),
        })
    }

    /// The thumbprint of the public key (RFC 7638): the same on every issuer that holds the key.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The public half as a JWK (RFC 7517).
    pub fn public_jwk(&self) -> &Value {
        &self.public_jwk
    }

    /// A JWT (RFC 7515, compact; `typ` `at+jwt` as RFC 9068 wants) with these claims.
    pub fn sign(&self, claims: &impl Serialize) -> Result<String, SignError> {
        let claims = serde_json::to_vec(claims).map_err(|_| SignError)?;
        // The signature of RSA with 4,096 bits takes 683 characters; the others are shorter.
        let mut token = String::with_capacity(self.header.len() + claims.len() * 4 / 3 + 700);
        token.push_str(&self.header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = self.signature(token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        match &self.pair {
            Pair::Ed25519(pair) => Ok(pair.try_sign(message).map_err(|_| SignError)?.as_ref().to_vec()),
            Pair::P256(pair) => {
                let signature = pair.sign(&SystemRandom::new(), message).map_err(|_| SignError)?;
                Ok(signature.as_ref().to_vec())
            }
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
                    .map_err(|_| SignError)?;
                Ok(signature)
            }
        }
    }
}

impl Key for SigningKey {
    fn id(&self) -> &str {
        &self.key_id
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.key_id).finish()
    }
}

pub(super) fn p256_from_pkcs8(der: &[u8]) -> Option<Pair> {
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
        .ok()
        .map(Pair::P256)
}

/// Splits an uncompressed point (SEC 1, section 2.3.3).
fn p256_members(point: &[u8]) -> Result<Value, String> {
    match point {
        [4, coordinates @ ..] if coordinates.len() == 64 => {
            let (x, y) = coordinates.split_at(32);
            let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
            Ok(json!({"crv": "P-256", "kty": "EC", "x": x, "y": y}))
        }
        _ => Err("its public key is not a point of P-256".to_owned()),
    }
}

/// RFC 7638, section 3: SHA-256 of the required members alone, in the order of their names, without white space.
fn thumbprint(members: &Value) -> String {
    let mut fields: Vec<_> = members.as_object().into_iter().flatten().collect();
    fields.sort_by_key(|(name, _)| name.as_str());
    let fields: Vec<_> = fields
        .into_iter()
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    URL_SAFE_NO_PAD.encode(digest(&SHA256, format!("{{{}}}", fields.join(",")).as_bytes()))
}
