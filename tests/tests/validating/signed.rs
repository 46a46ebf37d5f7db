//! C35–C42, A1, A2: JWTs that are signed with the installation's own key, as somebody who got hold of it would.

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokenbind_proto::v1::Reason;
use tokenbind_tests::{Backend, Stack};

use crate::fixture::{Shops, issue};
use crate::forged::{assert_refused, parts, with};

struct Forger {
    key: Ed25519KeyPair,
    header: Value,
    claims: Value,
}

impl Forger {
    /// Begins with a genuine token, and changes what it says.
    fn new(stack: &Stack, genuine: &str) -> Self {
        let pem = stack.installation.as_ref().unwrap().signing_key();
        let pem = std::fs::read_to_string(pem).unwrap();
        let der: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        let key = Ed25519KeyPair::from_pkcs8(&STANDARD.decode(der).unwrap()).unwrap();
        let (header, claims, _) = parts(genuine);
        Self { key, header, claims }
    }

    fn sign(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(self.key.sign(signed.as_bytes())))
    }

    fn header(&self, name: &str, value: Value) -> String {
        let header = with(self.header.clone(), name, value);
        self.sign(&header.to_string(), &self.claims.to_string())
    }

    fn claim(&self, name: &str, value: Value) -> String {
        let claims = with(self.claims.clone(), name, value);
        self.sign(&self.header.to_string(), &claims.to_string())
    }

    fn without(&self, name: &str) -> String {
        let mut claims = self.claims.clone();
        claims.as_object_mut().unwrap().remove(name);
        self.sign(&self.header.to_string(), &claims.to_string())
    }

    fn twice(&self, name: &str) -> String {
        let again = format!("{{\"{name}\":{},", self.claims[name]);
        let claims = self.claims.to_string().replacen('{', &again, 1);
        self.sign(&self.header.to_string(), &claims)
    }

    fn issued_at(&self) -> u64 {
        self.claims["iat"].as_u64().unwrap()
    }
}

/// A stack with a genuine token, and a forger who begins with it.
async fn begin() -> (Stack, Shops, String, Forger) {
    let stack = Stack::start(Backend::Redis).await;
    let shops = Shops::create(&stack).await;
    let genuine = issue(&stack, &shops.jwt, "").await;
    let forger = Forger::new(&stack, &genuine);
    (stack, shops, genuine, forger)
}

async fn assert_all_refused(stack: &Stack, shops: &Shops, forged: &[(&str, String, Reason)]) {
    for (what, token, reason) in forged {
        let found = assert_refused(stack, shops, what, token).await;
        assert_eq!(found, *reason, "{what}: {token}");
    }
}

#[tokio::test]
async fn c35_c42_a_good_signature_does_not_make_a_good_header() {
    let (stack, shops, genuine, thief) = begin().await;
    let other_typ = "token-introspection+jwt";
    let no_typ = json!({"alg": "EdDSA", "kid": thief.header["kid"]});
    let forged = [
        ("C35 crit", thief.header("crit", json!(["x"]))),
        ("C35 empty crit", thief.header("crit", json!([]))),
        ("C42 typ JWT", thief.header("typ", "JWT".into())),
        ("C42 typ of introspection", thief.header("typ", other_typ.into())),
        ("C42 no typ", thief.sign(&no_typ.to_string(), &thief.claims.to_string())),
        ("A2 a kid of 4 KB", thief.header("kid", "k".repeat(4_096).into())),
    ];
    let forged = forged.map(|(what, token)| (what, token, Reason::TokenMalformed));
    assert_all_refused(&stack, &shops, &forged).await;
    stack.assert_live(&shops.api, &genuine).await;
}

#[tokio::test]
async fn c36_to_c41_a_good_signature_does_not_make_good_claims() {
    let (stack, shops, genuine, thief) = begin().await;
    let now = thief.issued_at();
    let iss = thief.claims["iss"].as_str().unwrap();
    let mut forged = vec![
        (
            "C37 expired",
            thief.claim("exp", (now - 1).into()),
            Reason::TokenExpired,
        ),
        (
            "C37 early",
            thief.claim("nbf", (now + 1_000).into()),
            Reason::TokenNotYetValid,
        ),
        (
            "C39 slash",
            thief.claim("iss", format!("{iss}/").into()),
            Reason::IssuerMismatch,
        ),
        (
            "C39 capitals",
            thief.claim("iss", iss.to_uppercase().into()),
            Reason::IssuerMismatch,
        ),
    ];
    for name in ["exp", "iss", "sub", "aud", "jti"] {
        forged.push(("C36 a claim twice", thief.twice(name), Reason::TokenMalformed));
        forged.push(("C41 a claim missing", thief.without(name), Reason::TokenMalformed));
    }
    let other_types = [
        json!("4000000000"),
        json!(4e9),
        json!(null),
        json!([now]),
        json!(-1),
        json!(u64::MAX),
    ];
    for name in ["exp", "iat", "nbf"] {
        for value in other_types.clone() {
            forged.push(("C37, A1 another type", thief.claim(name, value), Reason::TokenMalformed));
        }
    }
    assert_all_refused(&stack, &shops, &forged).await;
    stack.assert_live(&shops.api, &genuine).await;
}

/// Whatever is signed: what counts is the record of the slot.
#[tokio::test]
async fn a_signed_token_that_was_never_issued_is_refused() {
    let (stack, shops, genuine, thief) = begin().await;
    for token in [
        thief.claim("sub", "user:ada".into()),
        thief.claim("scope", "orders.delete".into()),
        thief.claim("client_id", "opaque".into()),
        thief.claim("exp", (thief.issued_at() + 3_601).into()),
        thief.claim("extra", "x".into()),
        thief.claim("jti", "A".repeat(64).into()),
        thief.claim("jti", "nonsense".into()),
        thief.without("client_id"),
    ] {
        assert_refused(&stack, &shops, "never issued", &token).await;
    }
    stack.assert_live(&shops.api, &genuine).await;
}
