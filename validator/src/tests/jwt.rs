//! C33 to C42: which JWTs pass.

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use tokenbind_proto::v1::{FreshnessSource, Reason, TokenFormat};

use super::fixture::{AUDIENCE, Fixture, ISSUER, LIFETIME_SECONDS, Spec, encode, texts};
use super::signer::{Signer, sign_hs256};

/// The reason for a live token with this header or these claims.
async fn with(fixture: &Fixture, change: impl FnOnce(&mut Value, &mut Value)) -> Reason {
    let token = fixture.jwt_with(&Spec::default(), change).await;
    fixture.reason(&token).await
}

async fn with_header(fixture: &Fixture, name: &str, value: Value) -> Reason {
    with(fixture, |header, _| header[name] = value).await
}

async fn with_claim(fixture: &Fixture, name: &str, value: Value) -> Reason {
    with(fixture, |_, claims| claims[name] = value).await
}

#[tokio::test]
async fn every_algorithm_of_ours_passes_c43() {
    for algorithm in [Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256] {
        let fixture = Fixture::signing_with(algorithm).await;
        let token = fixture.jwt(&Spec::default()).await;
        assert_eq!(fixture.reason(&token).await, Reason::Valid, "{algorithm:?}");
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let changed = if signature.starts_with('A') { "B" } else { "A" };
        let forged = format!("{signed}.{changed}{}", &signature[1..]);
        assert_eq!(fixture.reason(&forged).await, Reason::SignatureInvalid, "{algorithm:?}");
    }
}

#[tokio::test]
async fn alg_is_that_of_the_key_c33() {
    for algorithm in [Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256] {
        let fixture = Fixture::signing_with(algorithm).await;
        let own = format!("{algorithm:?}");
        for alg in [
            "none", "None", "NONE", "HS256", "RS256", "RS512", "PS256", "ES256", "ES384", "EdDSA", "eddsa", "",
        ] {
            if alg != own {
                let reason = with_header(&fixture, "alg", json!(alg)).await;
                assert_eq!(reason, Reason::SignatureInvalid, "{own} as {alg:?}");
            }
        }
        for alg in [json!(null), json!(["EdDSA"]), json!(1)] {
            assert_eq!(with_header(&fixture, "alg", alg).await, Reason::TokenMalformed);
        }
        assert_eq!(with(&fixture, |_, _| {}).await, Reason::Valid);
    }
}

#[tokio::test]
async fn none_has_no_signature_c33() {
    let fixture = Fixture::new().await;
    let spec = Spec::default();
    let locator = fixture.locator(&spec, TokenFormat::Jwt);
    let header = json!({ "alg": "none", "typ": "at+jwt", "kid": fixture.signer.kid }).to_string();
    let signed = format!(
        "{}.{}",
        encode(&header),
        encode(&fixture.claims(&spec, &locator).to_string())
    );
    for token in [format!("{signed}."), signed.clone()] {
        fixture.adopt(&spec, &locator, &token).await;
        assert_eq!(fixture.reason(&token).await, Reason::TokenMalformed);
    }
    let token = format!("{signed}.{}", encode("x"));
    fixture.adopt(&spec, &locator, &token).await;
    assert_eq!(fixture.reason(&token).await, Reason::SignatureInvalid);
}

#[tokio::test]
async fn hs256_with_the_public_key_is_refused_c33() {
    let fixture = Fixture::signing_with(Algorithm::RS256).await;
    let spec = Spec::default();
    let locator = fixture.locator(&spec, TokenFormat::Jwt);
    let claims = fixture.claims(&spec, &locator).to_string();
    let jwk = serde_json::to_value(&fixture.signer.jwk).unwrap();
    for secret in [jwk.to_string(), jwk["n"].as_str().unwrap().to_owned()] {
        for alg in ["HS256", "RS256"] {
            let header = json!({ "alg": alg, "typ": "at+jwt", "kid": fixture.signer.kid }).to_string();
            let token = sign_hs256(secret.as_bytes(), &header, &claims);
            fixture.adopt(&spec, &locator, &token).await;
            assert_eq!(fixture.reason(&token).await, Reason::SignatureInvalid, "{alg}");
        }
    }
}

#[tokio::test]
async fn a_key_that_the_token_brings_along_is_ignored_c34() {
    let fixture = Fixture::new().await;
    let stranger = Signer::generate("key-1", Algorithm::EdDSA);
    let jwk = serde_json::to_value(&stranger.jwk).unwrap();
    let spec = Spec::default();
    for (name, value) in [
        ("jwk", jwk),
        ("jku", json!("http://127.0.0.1:1/keys")),
        ("x5u", json!("http://127.0.0.1:1/chain")),
        ("x5c", json!(["MIIB"])),
    ] {
        let locator = fixture.locator(&spec, TokenFormat::Jwt);
        let mut header = stranger.header();
        header[name] = value.clone();
        let token = stranger.sign(&header.to_string(), &fixture.claims(&spec, &locator).to_string());
        fixture.adopt(&spec, &locator, &token).await;
        assert_eq!(fixture.reason(&token).await, Reason::SignatureInvalid, "{name}");
        // They change nothing for a token that our key signed.
        assert_eq!(with_header(&fixture, name, value).await, Reason::Valid, "{name}");
    }
}

#[tokio::test]
async fn nothing_critical_is_understood_c35() {
    let fixture = Fixture::new().await;
    for crit in [json!([]), json!(["exp"]), json!(["b64"]), json!(null), json!("exp")] {
        let reason = with_header(&fixture, "crit", crit.clone()).await;
        assert_eq!(reason, Reason::TokenMalformed, "{crit}");
    }
}

#[tokio::test]
async fn a_name_that_stands_twice_is_refused_c36() {
    let fixture = Fixture::new().await;
    let spec = Spec::default();
    let locator = fixture.locator(&spec, TokenFormat::Jwt);
    let (header, claims) = (
        fixture.signer.header().to_string(),
        fixture.claims(&spec, &locator).to_string(),
    );
    let twice = |json: &str, member: &str| json.replacen('{', &format!("{{{member},"), 1);
    for (header, claims) in [
        (twice(&header, r#""alg":"none""#), claims.clone()),
        (twice(&header, r#""kid":"key-1""#), claims.clone()),
        (header.clone(), twice(&claims, r#""client_id":"other""#)),
        (header.clone(), twice(&claims, r#""exp":9999999999"#)),
        (header.clone(), twice(&claims, r#""azp":"other""#)),
    ] {
        let token = fixture.signer.sign(&header, &claims);
        fixture.adopt(&spec, &locator, &token).await;
        assert_eq!(
            fixture.reason(&token).await,
            Reason::TokenMalformed,
            "{header} {claims}"
        );
    }
    let token = fixture.signer.sign(&header, &claims);
    fixture.adopt(&spec, &locator, &token).await;
    assert_eq!(fixture.reason(&token).await, Reason::Valid);
}

#[tokio::test]
async fn times_have_no_leeway_c37() {
    let fixture = Fixture::new().await;
    let now = fixture.now();
    assert_eq!(with_claim(&fixture, "exp", json!(now - 1)).await, Reason::TokenExpired);
    assert_eq!(with_claim(&fixture, "exp", json!(now)).await, Reason::TokenExpired);
    assert_eq!(with_claim(&fixture, "exp", json!(now + 1)).await, Reason::Valid);
    assert_eq!(with_claim(&fixture, "nbf", json!(now)).await, Reason::Valid);
    assert_eq!(
        with_claim(&fixture, "nbf", json!(now + 1)).await,
        Reason::TokenNotYetValid
    );
    assert_eq!(
        with_claim(&fixture, "nbf", json!(now + 86_400)).await,
        Reason::TokenNotYetValid
    );
}

#[tokio::test]
async fn a_token_that_says_that_it_is_of_no_use_costs_no_read_of_its_record() {
    let fixture = Fixture::new().await;
    let now = fixture.now();
    let valid = fixture.jwt(&Spec::default()).await;
    assert_eq!(fixture.reason(&valid).await, Reason::Valid);
    for (name, value) in [("exp", now), ("nbf", now + 1)] {
        let token = fixture
            .jwt_with(&Spec::default(), |_, claims| claims[name] = json!(value))
            .await;
        let reads = fixture.store.reads();
        let verdict = fixture.verdict(&token).await;
        assert_eq!(verdict.freshness.source, FreshnessSource::Token, "{name}");
        assert_eq!(
            (verdict.freshness.revision, fixture.store.reads()),
            (0, reads),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_time_of_another_type_is_refused_c37_a1() {
    let fixture = Fixture::new().await;
    let now = fixture.now();
    for name in ["exp", "nbf", "iat"] {
        for value in [
            json!(now.to_string()),
            json!(null),
            json!([now]),
            json!(1.8e9),
            json!(u64::MAX),
            json!(true),
        ] {
            let reason = with_claim(&fixture, name, value.clone()).await;
            assert_eq!(reason, Reason::TokenMalformed, "{name}: {value}");
        }
    }
    assert_eq!(with_claim(&fixture, "exp", json!(9.0e9)).await, Reason::TokenMalformed);
}

#[tokio::test]
async fn aud_is_a_text_or_several_c38() {
    let fixture = Fixture::new().await;
    assert_eq!(with_claim(&fixture, "aud", json!(AUDIENCE)).await, Reason::Valid);
    let several = Spec {
        audiences: texts(&["https://a.example", AUDIENCE]),
        ..Spec::default()
    };
    let token = fixture.jwt(&several).await;
    assert_eq!(fixture.reason(&token).await, Reason::Valid);
}

#[tokio::test]
async fn iss_is_exactly_the_one_of_the_key_c39() {
    let fixture = Fixture::new().await;
    for iss in [
        "https://Issuer.example",
        "https://issuer.example/",
        "http://issuer.example",
        "",
        "https://other",
    ] {
        assert_eq!(
            with_claim(&fixture, "iss", json!(iss)).await,
            Reason::IssuerMismatch,
            "{iss}"
        );
    }
    // Another issuer's key is good for that issuer alone.
    let other = Signer::generate("key-2", Algorithm::EdDSA);
    fixture.publish(&other, "https://other.example").await;
    let spec = Spec::default();
    let locator = fixture.locator(&spec, TokenFormat::Jwt);
    let claims = fixture.claims(&spec, &locator);
    assert_eq!(claims["iss"], ISSUER);
    let token = other.sign(&other.header().to_string(), &claims.to_string());
    fixture.adopt(&spec, &locator, &token).await;
    assert_eq!(fixture.reason(&token).await, Reason::IssuerMismatch);
}

#[tokio::test]
async fn other_shapes_are_refused_before_the_index_is_asked_c40() {
    let fixture = Fixture::new().await;
    let token = fixture.jwt(&Spec::default()).await;
    assert_eq!(fixture.reason(&token).await, Reason::Valid);
    let parts: Vec<_> = token.split('.').collect();
    let (header, payload, signature) = (parts[0], parts[1], parts[2]);
    let reads = fixture.store.reads();
    for shape in [
        format!("{token}.x"),
        format!("{header}.{payload}"),
        format!("{header}..{signature}"),
        format!(".{payload}.{signature}"),
        format!("{header}.{payload}."),
        format!("{header}=.{payload}.{signature}"),
        format!("{header}.{payload}.{signature}="),
        format!("{header}\n.{payload}.{signature}"),
        format!(" {token}"),
        format!("Bearer {token}"),
        format!("{}.{payload}.{signature}", encode("{\"alg\":\"EdDSA\"")),
        format!("{}.{payload}.{signature}", encode("[]")),
        "..".to_owned(),
        "x".to_owned(),
        " ".to_owned(),
        "a".repeat(8_193),
        format!("{header}.{}.{signature}", "a".repeat(9_000)),
    ] {
        let verdict = fixture.verdict(&shape).await;
        assert_eq!(verdict.reason, Reason::TokenMalformed, "{shape}");
        assert_eq!(verdict.freshness.source, FreshnessSource::Token);
    }
    assert_eq!(fixture.store.reads(), reads);
}

#[tokio::test]
async fn bytes_that_are_no_utf_8_are_refused_c40() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let fixture = Fixture::new().await;
    let token = fixture.jwt(&Spec::default()).await;
    let rest = token.split_once('.').unwrap().1;
    let header = URL_SAFE_NO_PAD.encode(b"{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"key-1\xff\"}");
    assert_eq!(
        fixture.reason(&format!("{header}.{rest}")).await,
        Reason::TokenMalformed
    );
}

#[tokio::test]
async fn a_claim_of_rfc_9068_must_be_there_c41() {
    let fixture = Fixture::new().await;
    for name in ["iss", "exp", "aud", "sub", "iat", "jti"] {
        let reason = with(&fixture, |_, claims| drop(claims.as_object_mut().unwrap().remove(name))).await;
        assert_eq!(reason, Reason::TokenMalformed, "{name}");
    }
    for jti in ["", "x", "AAAA"] {
        assert_eq!(
            with_claim(&fixture, "jti", json!(jti)).await,
            Reason::TokenMalformed,
            "{jti:?}"
        );
    }
}

#[tokio::test]
async fn only_an_access_token_is_one_c42() {
    let fixture = Fixture::new().await;
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"] {
        assert_eq!(with_header(&fixture, "typ", json!(typ)).await, Reason::Valid, "{typ}");
    }
    for typ in [
        json!("JWT"),
        json!("jwt"),
        json!("dpop+jwt"),
        json!("token-introspection+jwt"),
        json!("at+jwt "),
        json!("x/at+jwt"),
        json!(""),
        json!(null),
        json!(["at+jwt"]),
    ] {
        assert_eq!(
            with_header(&fixture, "typ", typ.clone()).await,
            Reason::TokenMalformed,
            "{typ}"
        );
    }
    let without = with(&fixture, |header, _| {
        drop(header.as_object_mut().unwrap().remove("typ"));
    })
    .await;
    assert_eq!(without, Reason::TokenMalformed);
}

#[tokio::test]
async fn the_record_must_be_of_what_was_signed() {
    let fixture = Fixture::new().await;
    assert_eq!(
        with_claim(&fixture, "scope", json!("orders.read admin")).await,
        Reason::TokenNotLive
    );
    assert_eq!(
        with_claim(&fixture, "client_id", json!("other")).await,
        Reason::TokenNotLive
    );
    assert_eq!(
        with_claim(&fixture, "binding_ref", json!("x")).await,
        Reason::TokenNotLive
    );
    // The record does not say these: what was signed counts.
    assert_eq!(with_claim(&fixture, "aud", json!(["x", AUDIENCE])).await, Reason::Valid);
    assert_ne!(with_claim(&fixture, "aud", json!("x")).await, Reason::Valid);
}

#[tokio::test]
async fn a_jwt_ends_when_it_says() {
    let fixture = Fixture::new().await;
    let token = fixture.jwt(&Spec::default()).await;
    fixture.pass(LIFETIME_SECONDS - 1);
    assert_eq!(fixture.reason(&token).await, Reason::Valid);
    fixture.pass(1);
    assert_eq!(fixture.reason(&token).await, Reason::TokenExpired);
}
