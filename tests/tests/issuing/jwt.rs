//! What a JWT says (RFC 9068), read as any reader of it would.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost_types::value::Kind;
use serde_json::{Value, json};
use tokenbind_proto::v1::claim_mapping::Value as Mapped;
use tokenbind_proto::v1::{Application, ClaimMapping, GetKeySetRequest, TokenFormat, User};
use tokenbind_tests::{Ask as _, Stack, client_credentials, on_every_backend, password, shop};

on_every_backend!(
    c41_a_jwt_has_the_claims_of_rfc_9068,
    a_jwt_of_a_user_carries_what_the_application_maps,
    the_published_key_verifies_the_signature,
);

fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

async fn c41_a_jwt_has_the_claims_of_rfc_9068(stack: Stack) {
    let app = stack.shop("shop", TokenFormat::Jwt).await;
    let ask = client_credentials().scopes(&["orders.write", "orders.read"]);
    let bound = stack.issue(&app, ask.clone().bound_to("phone-1")).await.unwrap();
    let header = part(&bound.access_token, 0);
    assert_eq!(header["typ"], "at+jwt");
    assert_eq!(header["alg"], "EdDSA");
    let keys = stack
        .keys()
        .get_key_set(GetKeySetRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(header["kid"], keys.active_key_id);

    let claims = part(&bound.access_token, 1);
    assert!(claims["iss"].as_str().unwrap().starts_with("http"));
    for name in ["sub", "client_id", "azp"] {
        assert_eq!(claims[name], "shop", "{name}");
    }
    assert_eq!(claims["aud"], "orders-api");
    assert_eq!(claims["scope"], "orders.read orders.write");
    assert_eq!(claims["aut"], "APPLICATION");
    assert_eq!(claims["binding_type"], "client-request");
    assert_eq!(claims["binding_ref"], bound.binding.unwrap().r#ref);
    let (issued, expires) = (claims["iat"].as_u64().unwrap(), claims["exp"].as_u64().unwrap());
    assert_eq!(expires - issued, 3_600);
    assert_eq!(claims["nbf"], issued);
    assert!(!claims["jti"].as_str().unwrap().is_empty());
    assert!(!bound.access_token.contains("phone-1"));
    assert!(!claims.to_string().contains("phone-1"));

    let both = ask.audiences(&["stock-api", "orders-api"]);
    let unbound = stack.issue(&app, both).await.unwrap();
    let claims = part(&unbound.access_token, 1);
    assert_eq!(claims["aud"], json!(["orders-api", "stock-api"]));
    assert_eq!(claims["binding_type"], "none");
    assert_eq!(claims.get("binding_ref"), None);
}

async fn a_jwt_of_a_user_carries_what_the_application_maps(stack: Stack) {
    let mapping = |name: &str, value: Mapped| ClaimMapping {
        name: name.to_owned(),
        value: Some(value),
    };
    let application = |format, name: &str| Application {
        claims: vec![
            mapping("tenant", Mapped::StaticValue("north".to_owned())),
            mapping("email", Mapped::UserAttribute("mail".to_owned())),
            mapping("phone", Mapped::UserAttribute("phone".to_owned())),
        ],
        ..shop(name, format)
    };
    let jwt = stack.create_app(application(TokenFormat::Jwt, "jwt")).await.unwrap();
    let opaque = application(TokenFormat::Opaque, "opaque");
    let opaque = stack.create_app(opaque).await.unwrap();
    let api = stack.api("api", &[&jwt, &opaque]).await;
    let user = User {
        username: "ada".to_owned(),
        attributes: [("mail".to_owned(), "ada@example.com".to_owned())].into(),
        ..Default::default()
    };
    stack.create_user(user, "correct horse").await.unwrap();
    for app in [&jwt, &opaque] {
        let token = stack.issue(app, password("ada", "correct horse")).await.unwrap();
        let facts = stack.validate(&api, &token.access_token).await.token.unwrap();
        let claims = facts.claims.unwrap().fields;
        let text = |name: &str| match claims.get(name)?.kind.as_ref()? {
            Kind::StringValue(text) => Some(text.as_str()),
            _ => None,
        };
        assert_eq!(text("tenant"), Some("north"));
        assert_eq!(text("email"), Some("ada@example.com"));
        assert_eq!(text("phone"), None);
        assert_eq!(claims.len(), 2);
        if app.id == "jwt" {
            let claims = part(&token.access_token, 1);
            assert_eq!(claims["sub"], "user:ada");
            assert_eq!(claims["aut"], "APPLICATION_USER");
            assert_eq!(claims["email"], "ada@example.com");
            assert_eq!(claims.get("phone"), None);
        }
    }
}

async fn the_published_key_verifies_the_signature(stack: Stack) {
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
    let app = stack.shop("shop", TokenFormat::Jwt).await;
    let token = stack.issue(&app, client_credentials()).await.unwrap().access_token;
    let keys = stack
        .keys()
        .get_key_set(GetKeySetRequest {})
        .await
        .unwrap()
        .into_inner();
    let key_set: Value = serde_json::from_str(&keys.jwks_json).unwrap();
    let keys = key_set["keys"].as_array().unwrap();
    let key = keys.iter().find(|key| key["kid"] == part(&token, 0)["kid"]).unwrap();
    assert_eq!(key.get("d"), None, "no private part");
    let public = URL_SAFE_NO_PAD.decode(key["x"].as_str().unwrap()).unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    UnparsedPublicKey::new(&ED25519, public)
        .verify(signed.as_bytes(), &signature)
        .unwrap();
}
