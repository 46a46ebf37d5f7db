//! Private keys in PEM (RFC 7468).

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;

use super::key::{Pair, p256_from_pkcs8};

const UNKNOWN: &str = "must be a private key of Ed25519, P-256 or RSA with at least 2,048 bits";

/// Reads PKCS#8, SEC 1 (`EC PRIVATE KEY`) or PKCS#1 (`RSA PRIVATE KEY`).
pub(super) fn parse(content: &[u8]) -> Result<Pair, String> {
    let der = PrivateKeyDer::from_pem_slice(content)
        .map_err(|_| "must hold an unencrypted private key in PEM, or a private JWK".to_owned())?;
    let pair = match &der {
        PrivateKeyDer::Pkcs8(der) => pkcs8(der.secret_pkcs8_der()),
        PrivateKeyDer::Sec1(der) => {
            let pair = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_sec1_der());
            pair.ok().map(Pair::P256)
        }
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()).ok().map(Pair::Rsa),
        _ => None,
    };
    pair.ok_or_else(|| UNKNOWN.to_owned())
}

fn pkcs8(der: &[u8]) -> Option<Pair> {
    let ed25519 = || Ed25519KeyPair::from_pkcs8(der).ok().map(Pair::Ed25519);
    let rsa = || RsaKeyPair::from_pkcs8(der).ok().map(Pair::Rsa);
    ed25519().or_else(|| p256_from_pkcs8(der)).or_else(rsa)
}
