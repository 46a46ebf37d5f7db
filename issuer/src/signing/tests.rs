use std::fs;
use std::path::{Path, PathBuf};

use aws_lc_rs::encoding::{AsBigEndian as _, AsDer as _, EcPrivateKeyBin, EcPrivateKeyRfc5915Der, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};

use super::generate_pem;
use super::{KeyRing, SigningKey};
use crate::test_support::CountingEntropy;

/// RFC 8037, appendix A: an Ed25519 key and its thumbprint.
const RFC_8037_JWK: &str = r#"{"kty":"OKP","crv":"Ed25519",
"d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
const RFC_8037_THUMBPRINT: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";

fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<_> = body
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The integers of a PKCS#1 `RSAPrivateKey` (RFC 8017, appendix A.1.2), without the version.
fn pkcs1_integers(der: &[u8]) -> Vec<Vec<u8>> {
    fn item(der: &[u8]) -> (&[u8], &[u8]) {
        let (length, rest) = match der[1] {
            short @ 0..=0x7f => (usize::from(short), &der[2..]),
            0x81 => (usize::from(der[2]), &der[3..]),
            _ => (usize::from(der[2]) << 8 | usize::from(der[3]), &der[4..]),
        };
        rest.split_at(length)
    }
    let (mut fields, _) = item(der);
    let mut integers = Vec::new();
    while !fields.is_empty() {
        let (integer, rest) = item(fields);
        integers.push(integer.iter().copied().skip_while(|byte| *byte == 0).collect());
        fields = rest;
    }
    integers.split_off(1)
}

struct Rsa {
    pkcs8: Vec<u8>,
    pkcs1: Vec<u8>,
}

fn rsa() -> Rsa {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let pkcs8: Vec<u8> = aws_lc_rs::encoding::AsDer::<Pkcs8V1Der<'_>>::as_der(&pair)
        .unwrap()
        .as_ref()
        .to_vec();
    // Version, algorithm and the header of the OCTET STRING take 26 bytes in each key of this size.
    let pkcs1 = pkcs8[26..].to_vec();
    Rsa { pkcs8, pkcs1 }
}

fn rsa_jwk(pkcs1: &[u8]) -> Value {
    let names = ["n", "e", "d", "p", "q", "dp", "dq", "qi"];
    let members = names
        .iter()
        .zip(pkcs1_integers(pkcs1))
        .map(|(name, value)| ((*name).to_owned(), json!(b64(&value))));
    let mut jwk: Value = members.collect::<serde_json::Map<_, _>>().into();
    jwk["kty"] = "RSA".into();
    jwk
}

fn p256_jwk(pair: &EcdsaKeyPair) -> Value {
    let private: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().unwrap();
    let point = pair.public_key().as_ref();
    json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "ignored",
        "d": b64(private.as_ref()), "x": b64(&point[1..33]), "y": b64(&point[33..])})
}

/// Signs with the key and has an independent library verify it by the public JWK.
fn proves(content: &str, algorithm: Algorithm) -> SigningKey {
    let key = SigningKey::parse(content.as_bytes()).unwrap();
    let token = key.sign(&json!({"sub": "alice", "exp": 4_000_000_000_u64})).unwrap();
    let header = decode_header(&token).unwrap();
    assert_eq!((header.alg, header.typ.as_deref()), (algorithm, Some("at+jwt")));
    assert_eq!(header.kid.as_deref(), Some(key.key_id()));

    let public: Jwk = serde_json::from_value(key.public_jwk().clone()).unwrap();
    assert!(
        ["d", "p", "q", "dp", "dq", "qi"]
            .iter()
            .all(|secret| key.public_jwk().get(secret).is_none())
    );
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    let verified = decode::<Value>(&token, &DecodingKey::from_jwk(&public).unwrap(), &validation).unwrap();
    assert_eq!(verified.claims["sub"], "alice");
    key
}

#[test]
fn eddsa_from_pem_and_jwk() {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let v1 = proves(
        &pem("PRIVATE KEY", pair.to_pkcs8v1().unwrap().as_ref()),
        Algorithm::EdDSA,
    );
    let v2 = proves(&pem("PRIVATE KEY", pair.to_pkcs8().unwrap().as_ref()), Algorithm::EdDSA);
    assert_eq!(v1.key_id(), v2.key_id());
    assert_eq!(proves(RFC_8037_JWK, Algorithm::EdDSA).key_id(), RFC_8037_THUMBPRINT);
}

#[test]
fn es256_from_pem_and_jwk() {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let sec1: EcPrivateKeyRfc5915Der<'_> = pair.private_key().as_der().unwrap();
    let keys = [
        proves(
            &pem("PRIVATE KEY", pair.to_pkcs8v1().unwrap().as_ref()),
            Algorithm::ES256,
        ),
        proves(&pem("EC PRIVATE KEY", sec1.as_ref()), Algorithm::ES256),
        proves(&p256_jwk(&pair).to_string(), Algorithm::ES256),
    ];
    assert!(keys.iter().all(|key| key.key_id() == keys[0].key_id()));
}

#[test]
fn rs256_from_pem_and_jwk() {
    let Rsa { pkcs8, pkcs1 } = rsa();
    let keys = [
        proves(&pem("PRIVATE KEY", &pkcs8), Algorithm::RS256),
        proves(&pem("RSA PRIVATE KEY", &pkcs1), Algorithm::RS256),
        proves(&rsa_jwk(&pkcs1).to_string(), Algorithm::RS256),
    ];
    assert!(keys.iter().all(|key| key.key_id() == keys[0].key_id()));
}

#[test]
fn a_changed_token_does_not_verify() {
    let key = SigningKey::parse(RFC_8037_JWK.as_bytes()).unwrap();
    let public: Jwk = serde_json::from_value(key.public_jwk().clone()).unwrap();
    let token = key.sign(&json!({"sub": "alice"})).unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (header, _) = signed.split_once('.').unwrap();
    let forged = format!("{header}.{}.{signature}", b64(br#"{"sub":"root"}"#));
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.validate_exp = false;
    validation.required_spec_claims.clear();
    let decoding = DecodingKey::from_jwk(&public).unwrap();
    assert!(decode::<Value>(&token, &decoding, &validation).is_ok());
    assert!(decode::<Value>(&forged, &decoding, &validation).is_err());
}

#[test]
fn what_is_no_signing_key_is_refused_with_its_reason_and_without_its_content() {
    let mut inconsistent: Value = serde_json::from_str(RFC_8037_JWK).unwrap();
    inconsistent["x"] = b64(&[1; 32]).into();
    let mut wrong_alg: Value = serde_json::from_str(RFC_8037_JWK).unwrap();
    wrong_alg["alg"] = "ES256".into();
    let mut for_encryption: Value = serde_json::from_str(RFC_8037_JWK).unwrap();
    for_encryption["use"] = "enc".into();
    let mut public: Value = serde_json::from_str(RFC_8037_JWK).unwrap();
    public.as_object_mut().unwrap().remove("d");
    let cases = [
        (String::new(), "is empty"),
        ("SECRETS".to_owned(), "unencrypted private key"),
        (pem("PUBLIC KEY", b"SECRETS"), "unencrypted private key"),
        (pem("PRIVATE KEY", b"SECRETS"), "Ed25519, P-256 or RSA"),
        ("{\"kty\": SECRETS".to_owned(), "is not a JWK"),
        (
            json!({"kty": "oct", "k": "SECRETS"}).to_string(),
            "Ed25519, P-256 or RSA",
        ),
        (inconsistent.to_string(), "do not make a key"),
        (wrong_alg.to_string(), "`alg` must be EdDSA"),
        (for_encryption.to_string(), "`use` must be `sig`"),
        (public.to_string(), "`d` is missing"),
    ];
    for (content, expected) in cases {
        let problem = SigningKey::parse(content.as_bytes()).unwrap_err();
        assert!(problem.contains(expected) && !problem.contains("SECRETS"), "{problem}");
    }
}

fn write(folder: &Path, name: &str, content: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, content).unwrap();
    path
}

fn seeded(seed: u8) -> String {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
    pem("PRIVATE KEY", pair.to_pkcs8v1().unwrap().as_ref())
}

#[test]
fn the_last_of_a_directory_signs_and_all_are_published() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "2026-02.pem", &seeded(2));
    write(folder.path(), "2026-01.jwk", RFC_8037_JWK);
    write(folder.path(), ".hidden", "no key");
    fs::create_dir(folder.path().join("folder")).unwrap();
    let ring = KeyRing::load(folder.path()).unwrap();
    let newest = SigningKey::parse(seeded(2).as_bytes()).unwrap();
    assert_eq!(ring.active().key_id(), newest.key_id());
    let all: Vec<_> = ring.held().iter().map(|key| key.key_id().to_owned()).collect();
    assert_eq!(all, [RFC_8037_THUMBPRINT, newest.key_id()]);

    write(folder.path(), "2026-03.pem", &seeded(3));
    assert!(ring.reload(false).unwrap() && !ring.reload(false).unwrap());
    let later = SigningKey::parse(seeded(3).as_bytes()).unwrap();
    assert_eq!(
        (ring.held().iter().count(), ring.held().newest().key_id()),
        (3, later.key_id())
    );
    // What signs goes on until somebody says otherwise.
    assert_eq!(ring.active().key_id(), newest.key_id());
    assert!(ring.activate(later.key_id()));
    assert_eq!(ring.active().key_id(), later.key_id());

    write(folder.path(), "2026-04.pem", "half a k");
    assert!(ring.reload(false).is_err(), "told once");
    assert!(!ring.reload(false).unwrap());
    assert_eq!(ring.held().iter().count(), 3);
    write(folder.path(), "2026-04.pem", &seeded(4));
    assert!(ring.reload(false).unwrap());
}

#[test]
fn a_bad_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "good.pem", &seeded(1));
    let bad = write(folder.path(), "bad.pem", "nothing");
    assert_eq!(KeyRing::load(folder.path()).unwrap_err().path, bad);
    let big = write(folder.path(), "big.pem", &"x".repeat(65_537));
    assert!(
        KeyRing::load(&big)
            .unwrap_err()
            .to_string()
            .contains("longer than 65536 bytes")
    );
    let missing = folder.path().join("missing");
    assert!(KeyRing::load(&missing).unwrap_err().to_string().contains("missing"));
}

#[test]
fn generated_keys_differ() {
    let entropy = CountingEntropy::default();
    let (one, two) = (
        KeyRing::generate(&entropy).unwrap(),
        KeyRing::generate(&entropy).unwrap(),
    );
    assert_ne!(one.active().key_id(), two.active().key_id());
    let pems = [generate_pem(&entropy).unwrap(), generate_pem(&entropy).unwrap()];
    let keys = pems.map(|pem| SigningKey::parse(pem.as_bytes()).unwrap());
    assert_ne!(keys[0].key_id(), keys[1].key_id());
}
