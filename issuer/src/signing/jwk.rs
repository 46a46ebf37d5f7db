//! Private keys as JWK (RFC 7517; RFC 7518, section 6; RFC 8037, section 2).

use aws_lc_rs::rsa::{KeyPairComponents, PublicKeyComponents};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use zeroize::{Zeroize as _, Zeroizing};

use super::key::Pair;

/// The members that are looked at. Others, such as `kid`, mean nothing here: a key's name is its thumbprint.
#[derive(Deserialize)]
struct PrivateJwk {
    kty: String,
    crv: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    d: Option<String>,
    p: Option<String>,
    q: Option<String>,
    dp: Option<String>,
    dq: Option<String>,
    qi: Option<String>,
}

impl Drop for PrivateJwk {
    fn drop(&mut self) {
        for secret in [
            &mut self.d,
            &mut self.p,
            &mut self.q,
            &mut self.dp,
            &mut self.dq,
            &mut self.qi,
        ] {
            secret.zeroize();
        }
    }
}

/// Reads one private JWK.
pub(super) fn parse(content: &[u8]) -> Result<Pair, String> {
    // serde's message could quote a value.
    let jwk: PrivateJwk = serde_json::from_slice(content).map_err(|_| "is not a JWK".to_owned())?;
    if jwk.usage.as_deref().is_some_and(|usage| usage != "sig") {
        return Err("its `use` must be `sig`".to_owned());
    }
    let (algorithm, pair) = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("OKP", Some("Ed25519")) => ("EdDSA", ed25519(&jwk)?),
        ("EC", Some("P-256")) => ("ES256", p256(&jwk)?),
        ("RSA", None) => ("RS256", rsa(&jwk)?),
        _ => return Err("must be a key of Ed25519, P-256 or RSA".to_owned()),
    };
    if jwk.alg.as_deref().is_some_and(|stated| stated != algorithm) {
        return Err(format!("its `alg` must be {algorithm}"));
    }
    Ok(pair)
}

fn ed25519(jwk: &PrivateJwk) -> Result<Pair, String> {
    let (seed, public) = (bytes("d", jwk.d.as_deref())?, bytes("x", jwk.x.as_deref())?);
    let pair = Ed25519KeyPair::from_seed_and_public_key(&seed, &public);
    pair.map(Pair::Ed25519).map_err(|_| inconsistent())
}

fn p256(jwk: &PrivateJwk) -> Result<Pair, String> {
    let private = bytes("d", jwk.d.as_deref())?;
    let (x, y) = (bytes("x", jwk.x.as_deref())?, bytes("y", jwk.y.as_deref())?);
    let point = [&[4], x.as_slice(), y.as_slice()].concat();
    let pair =
        EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, &private, point.as_slice());
    pair.map(Pair::P256).map_err(|_| inconsistent())
}

fn rsa(jwk: &PrivateJwk) -> Result<Pair, String> {
    let components = KeyPairComponents {
        public_key: PublicKeyComponents {
            n: bytes("n", jwk.n.as_deref())?,
            e: bytes("e", jwk.e.as_deref())?,
        },
        d: bytes("d", jwk.d.as_deref())?,
        p: bytes("p", jwk.p.as_deref())?,
        q: bytes("q", jwk.q.as_deref())?,
        dP: bytes("dp", jwk.dp.as_deref())?,
        dQ: bytes("dq", jwk.dq.as_deref())?,
        qInv: bytes("qi", jwk.qi.as_deref())?,
    };
    RsaKeyPair::from_components(&components)
        .map(Pair::Rsa)
        .map_err(|_| inconsistent())
}

/// Wiped when dropped, also where it is public.
struct Bytes(Zeroizing<Vec<u8>>);

impl Bytes {
    fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl std::ops::Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

fn bytes(name: &str, member: Option<&str>) -> Result<Bytes, String> {
    let text = member.ok_or_else(|| format!("its `{name}` is missing"))?;
    let decoded = URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| format!("its `{name}` is not base64url"))?;
    Ok(Bytes(Zeroizing::new(decoded)))
}

fn inconsistent() -> String {
    "its members do not make a key".to_owned()
}
