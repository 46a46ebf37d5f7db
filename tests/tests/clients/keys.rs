//! Keys of every kind that the clients meet.

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519,
    PublicKeyData as _,
};
use serde_json::{Value, json};

/// What the issuer signs with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Algorithm {
    EdDsa,
    Rs256,
}

impl Algorithm {
    /// Its name in JOSE.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
        }
    }

    /// A new private key, as PEM.
    pub(crate) fn private_key(self) -> String {
        match self {
            Self::EdDsa => KeyPair::generate_for(&PKCS_ED25519).unwrap().serialize_pem(),
            Self::Rs256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
                let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
                let text = STANDARD.encode(der.as_ref());
                let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
                format!(
                    "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
                    lines.join("\n")
                )
            }
        }
    }
}

/// With what an application signs: the private key as PEM, and the public one as a set. All libraries know P-256.
pub(crate) fn application_key() -> (String, Value) {
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    // Uncompressed: 4, x, y.
    let point = pair.der_bytes();
    let (x, y) = point[1..].split_at(32);
    let [x, y] = [x, y].map(|half| URL_SAFE_NO_PAD.encode(half));
    let jwk = json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "own", "x": x, "y": y});
    (pair.serialize_pem(), json!({ "keys": [jwk] }))
}

/// What a server and its clients need for TLS, as PEM.
#[derive(Debug)]
pub(crate) struct Certified {
    pub(crate) authority: String,
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// A certificate for localhost, and the authority that nobody else trusts.
pub(crate) fn certified() -> Certified {
    let mut params = CertificateParams::new([]).unwrap();
    // Another name than the certificate has by default: with the same one that would look self-signed.
    params
        .distinguished_name
        .push(DnType::CommonName, "authority of the tests");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&authority_key).unwrap().pem();
    let issuer = Issuer::new(params, authority_key);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    // Python wants to know whose key signed it.
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(&key, &issuer).unwrap().pem();
    Certified {
        authority,
        certificate,
        key: key.serialize_pem(),
    }
}
