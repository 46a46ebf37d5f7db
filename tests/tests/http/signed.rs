//! C31, C32: introspection as a signed JWT (RFC 9701).

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Request;
use rcgen::{KeyPair, PKCS_ED25519};
use serde_json::{Value, json};
use tokenbind_tests::{Http, HttpAnswer, encode, now, start_validator};

use crate::fixture::{INTROSPECT, JWKS, METADATA, Setting};

const IDENTITY: &str = "https://validator.example/eu";
const JWT: &str = "application/token-introspection+jwt";

fn part(jwt: &str, index: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(jwt.split('.').nth(index).unwrap()).unwrap()).unwrap()
}

fn verify(jwt: &str, jwk: &Value) {
    let (signed, signature) = jwt.rsplit_once('.').unwrap();
    let public = URL_SAFE_NO_PAD.decode(jwk["x"].as_str().unwrap()).unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    UnparsedPublicKey::new(&ED25519, public)
        .verify(signed.as_bytes(), &signature)
        .unwrap();
}

#[tokio::test]
async fn c31_c32_an_answer_is_signed_for_its_caller_and_is_no_access_token() {
    let setting = Setting::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    std::fs::write(&path, KeyPair::generate_for(&PKCS_ED25519).unwrap().serialize_pem()).unwrap();
    let redis = setting.stack.redis.as_ref().unwrap();
    let arguments = [
        "--introspection-issuer",
        IDENTITY,
        "--introspection-signing-key",
        path.to_str().unwrap(),
    ];
    let (_process, address) = start_validator(&redis.url(), &arguments);
    let validator = Http::new(&address);
    let introspect = async |server: &Http, accept: &str, token: &str| -> HttpAnswer {
        let request = Request::post(INTROSPECT)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("authorization", setting.api.basic())
            .header("accept", accept);
        server.send(request, &encode(&[("token", token)])).await
    };

    // Whoever verifies finds out how.
    let metadata = validator.get(&format!("{METADATA}/eu")).await.json();
    let expected = json!({
        "issuer": IDENTITY,
        "introspection_endpoint": format!("{IDENTITY}{INTROSPECT}"),
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic"],
        "introspection_signing_alg_values_supported": ["EdDSA"],
        "jwks_uri": format!("{IDENTITY}{JWKS}"),
    });
    assert_eq!(metadata, expected);
    let keys = validator.get(&format!("/eu{JWKS}")).await;
    assert_eq!(keys.header("content-type"), "application/jwk-set+json");
    let keys: Value = serde_json::from_str(&keys.body).unwrap();
    let jwk = &keys["keys"][0];
    assert!(jwk.get("d").is_none() && keys["keys"].as_array().unwrap().len() == 1);
    let issuers = setting.issuer.get(JWKS).await.body;
    assert!(
        !issuers.contains(jwk["kid"].as_str().unwrap()),
        "it is none of the keys that verify tokens"
    );

    let token = setting.login(&setting.jwt, "phone").await.text("access_token");
    for (token, active) in [(token.as_str(), true), ("x", false)] {
        let answer = introspect(&validator, JWT, token).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, JWT), "{answer:?}");
        answer.assert_uncached();
        verify(&answer.body, jwk);
        let header = part(&answer.body, 0);
        assert_eq!(
            header,
            json!({"typ": "token-introspection+jwt", "alg": "EdDSA", "kid": jwk["kid"]})
        );
        let claims = part(&answer.body, 1);
        let members: Vec<_> = claims.as_object().unwrap().keys().collect();
        assert_eq!(
            members,
            ["aud", "iat", "iss", "token_introspection"],
            "nothing that an access token has"
        );
        assert_eq!((&claims["iss"], &claims["aud"]), (&json!(IDENTITY), &json!("api")));
        assert!(claims["iat"].as_u64().unwrap().abs_diff(now()) < 60);
        let plain = introspect(&validator, "application/json", token).await;
        assert_eq!(claims["token_introspection"], plain.json());
        assert_eq!(plain.json()["active"], active);
        // C32
        Setting::assert_inactive(&introspect(&validator, "*/*", &answer.body).await);
    }
    // One that has no key says so, and answers who also takes the other form.
    let refused = introspect(&setting.validator, JWT, &token).await;
    refused.assert_error(406, "invalid_request");
    let both = format!("{JWT}, application/json;q=0.5");
    Setting::assert_active(&introspect(&setting.validator, &both, &token).await);
    assert_eq!(introspect(&validator, &both, &token).await.header("content-type"), JWT);
    for path in [METADATA, JWKS] {
        setting.validator.get(path).await.assert_error(404, "not_found");
    }
    setting.assert_works().await;
}
