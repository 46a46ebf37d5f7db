//! C33–C42, A1, A2: tokens that no issuer of ours made.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokenbind_proto::v1::{Decision, GetKeySetRequest, Reason};
use tokenbind_tests::{Stack, on_every_backend};

use crate::fixture::{Shops, issue};

on_every_backend!(
    c33_a_signature_that_no_published_key_made_is_refused,
    c40_what_is_not_a_token_is_refused_cheaply,
    a_changed_opaque_token_is_refused,
);

pub(crate) fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

pub(crate) fn parts(token: &str) -> (Value, Value, String) {
    let decode = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    let parts: Vec<_> = token.split('.').collect();
    (decode(parts[0]), decode(parts[1]), parts[2].to_owned())
}

pub(crate) fn with(mut value: Value, name: &str, member: Value) -> Value {
    value[name] = member;
    value
}

pub(crate) async fn assert_refused(stack: &Stack, shops: &Shops, what: &str, token: &str) -> Reason {
    let verdict = stack.validate(&shops.api, token).await;
    assert_eq!(verdict.decision(), Decision::Unauthenticated, "{what}");
    assert_eq!(verdict.token, None, "{what}");
    assert!(!stack.introspect(&shops.api, token).await.unwrap().active, "{what}");
    verdict.reason()
}

async fn c33_a_signature_that_no_published_key_made_is_refused(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let genuine = issue(&stack, &shops.jwt, "").await;
    let (header, claims, signature) = parts(&genuine);
    let own = Ed25519KeyPair::generate().unwrap();
    let sign = |header: &Value, claims: &Value| {
        let signed = format!("{}.{}", encode(header), encode(claims));
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(own.sign(signed.as_bytes())))
    };
    let unsigned = |header: &Value| format!("{}.{}.", encode(header), encode(&claims));
    let key_set = stack
        .keys()
        .get_key_set(GetKeySetRequest {})
        .await
        .unwrap()
        .into_inner();
    let keys: Value = serde_json::from_str(&key_set.jwks_json).unwrap();
    let jwk = &keys["keys"][0];
    let public = URL_SAFE_NO_PAD.decode(jwk["x"].as_str().unwrap()).unwrap();
    let symmetric = |key: &[u8], alg: &str| {
        let header = with(header.clone(), "alg", alg.into());
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
    };
    let other_claims = |claims: &Value| format!("{}.{}.{signature}", encode(&header), encode(claims));
    let own_jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(own_public(&own))});
    let forged = [
        ("alg none", unsigned(&with(header.clone(), "alg", "none".into()))),
        ("alg None", unsigned(&with(header.clone(), "alg", "None".into()))),
        ("no signature", unsigned(&header)),
        ("HS256 with the public key", symmetric(&public, "HS256")),
        (
            "HS256 with the public key as text",
            symmetric(jwk["x"].as_str().unwrap().as_bytes(), "HS256"),
        ),
        ("HS256 with the JWK", symmetric(jwk.to_string().as_bytes(), "HS256")),
        ("another key under the same kid", sign(&header, &claims)),
        (
            "another kid",
            sign(&with(header.clone(), "kid", "other".into()), &claims),
        ),
        (
            "a kid that is a path",
            sign(&with(header.clone(), "kid", "../../dev/null".into()), &claims),
        ),
        (
            "a kid with NUL and CR LF",
            sign(&with(header.clone(), "kid", "\0\r\n".into()), &claims),
        ),
        ("no kid", sign(&json!({"alg": "EdDSA", "typ": "at+jwt"}), &claims)),
        ("a key of its own", sign(&with(header.clone(), "jwk", own_jwk), &claims)),
        ("ES256", sign(&with(header.clone(), "alg", "ES256".into()), &claims)),
        (
            "another sub",
            other_claims(&with(claims.clone(), "sub", "user:ada".into())),
        ),
        (
            "more scopes",
            other_claims(&with(claims.clone(), "scope", "orders.delete orders.read".into())),
        ),
        (
            "a longer life",
            other_claims(&with(claims.clone(), "exp", 4_000_000_000_u64.into())),
        ),
    ];
    for (what, token) in &forged {
        assert_ne!(*token, genuine, "{what}");
        let reason = assert_refused(&stack, &shops, what, token).await;
        let expected = [Reason::TokenMalformed, Reason::SignatureInvalid];
        assert!(expected.contains(&reason), "{what}: {reason:?}");
    }
    stack.assert_live(&shops.api, &genuine).await;
}

fn own_public(key: &Ed25519KeyPair) -> Vec<u8> {
    use aws_lc_rs::signature::KeyPair as _;
    key.public_key().as_ref().to_vec()
}

async fn c40_what_is_not_a_token_is_refused_cheaply(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let genuine = issue(&stack, &shops.jwt, "").await;
    let (header, claims, signature) = parts(&genuine);
    let head = encode(&header);
    let longest = format!(
        "{head}.{}.{signature}",
        "A".repeat(8_192 - head.len() - signature.len() - 2)
    );
    assert_eq!(longest.len(), 8_192);
    let broken = [
        ("four segments", format!("{genuine}.{signature}")),
        ("two segments", format!("{head}.{signature}")),
        ("a leading dot", format!(".{genuine}")),
        ("padding", format!("{genuine}=")),
        ("a space before", format!(" {genuine}")),
        ("a line feed after", format!("{genuine}\n")),
        ("a scheme before", format!("Bearer {genuine}")),
        (
            "standard base64",
            format!(
                "{}.{}.{signature}",
                STANDARD.encode(header.to_string()),
                encode(&claims)
            ),
        ),
        (
            "no JSON",
            format!("{}.{}.{signature}", URL_SAFE_NO_PAD.encode("{"), encode(&claims)),
        ),
        (
            "bad UTF-8",
            format!("{head}.{}.{signature}", URL_SAFE_NO_PAD.encode([b'{', 0xff, b'}'])),
        ),
        ("an array", format!("{head}.{}.{signature}", encode(&json!([1])))),
        ("as long as may be", longest),
        (
            "deeply nested",
            format!("{head}.{}.{signature}", URL_SAFE_NO_PAD.encode("[".repeat(4_000))),
        ),
    ];
    for (what, token) in &broken {
        let reason = assert_refused(&stack, &shops, what, token).await;
        let expected = [Reason::TokenMalformed, Reason::SignatureInvalid];
        assert!(expected.contains(&reason), "{what}: {reason:?}");
    }
    stack.assert_live(&shops.api, &genuine).await;
}

async fn a_changed_opaque_token_is_refused(stack: Stack) {
    let shops = Shops::create(&stack).await;
    let genuine = issue(&stack, &shops.opaque, "").await;
    for position in 0..genuine.len() {
        let mut bytes = genuine.clone().into_bytes();
        bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        let verdict = stack.validate(&shops.api, &changed).await;
        assert_eq!(verdict.decision(), Decision::Unauthenticated, "character {position}");
    }
    let cut = &genuine[..genuine.len() - 1];
    let longer = format!("{genuine}A");
    for changed in [cut, &longer, &genuine.to_uppercase(), &genuine[4..]] {
        assert_refused(&stack, &shops, "another length or case", changed).await;
    }
    stack.assert_live(&shops.api, &genuine).await;
}
