//! C73, and the keys beside: what others know of the issuer.

use http::Request;
use serde_json::{Value, json};
use tokenbind_tests::{Http, wait_until};

use crate::fixture::{EXCHANGE, JWKS, JWT_BEARER, METADATA, OWN, REVOKE, Setting, TOKEN};

fn texts(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one.as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn c73_the_metadata_are_true() {
    let setting = Setting::start().await;
    let answer = setting.issuer.get(METADATA).await;
    let metadata = answer.json();
    assert_eq!(metadata["issuer"], OWN);
    for (member, path) in [
        ("token_endpoint", TOKEN),
        ("revocation_endpoint", REVOKE),
        ("jwks_uri", JWKS),
    ] {
        assert_eq!(metadata[member], format!("{OWN}{path}"));
    }
    let grants = ["password", "client_credentials", "refresh_token", EXCHANGE, JWT_BEARER];
    assert_eq!(texts(&metadata["grant_types_supported"]), grants);
    // Each one is known where it is promised: what is wrong with it is something else.
    for grant in grants {
        let answer = setting.ask(&setting.jwt, &[("grant_type", grant)]).await;
        assert_ne!(answer.json()["error"], "unsupported_grant_type", "{grant}");
    }
    let methods = ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"];
    for endpoint in ["token", "revocation"] {
        assert_eq!(
            texts(&metadata[format!("{endpoint}_endpoint_auth_methods_supported")]),
            methods
        );
        let algorithms = &metadata[format!("{endpoint}_endpoint_auth_signing_alg_values_supported")];
        let algorithms = texts(algorithms);
        // C43
        assert!(algorithms.contains(&"RS256"));
        // RFC 8414, section 2.
        assert!(
            algorithms
                .iter()
                .all(|name| !name.eq_ignore_ascii_case("none") && !name.starts_with("HS"))
        );
    }
    // Nothing that is not there is promised; a member without an element would be left out (section 3.2).
    for absent in [
        "authorization_endpoint",
        "userinfo_endpoint",
        "id_token_signing_alg_values_supported",
        "registration_endpoint",
        "introspection_endpoint",
        "response_types_supported",
    ] {
        assert!(metadata.get(absent).is_none(), "{absent}");
    }
    // No OpenID provider.
    setting
        .issuer
        .get("/.well-known/openid-configuration")
        .await
        .assert_error(404, "not_found");

    // The key set is what gRPC answers, and verifies what is issued.
    let keys = setting.issuer.get(JWKS).await;
    assert_eq!(keys.header("content-type"), "application/jwk-set+json");
    let set: Value = serde_json::from_str(&keys.body).unwrap();
    let request = tokenbind_proto::v1::GetKeySetRequest {};
    let grpc = setting.stack.keys().get_key_set(request).await.unwrap().into_inner();
    assert_eq!(set, serde_json::from_str::<Value>(&grpc.jwks_json).unwrap());
    assert!(set["keys"].as_array().unwrap().iter().all(|key| key.get("d").is_none()));

    // Both may be kept for a while, and whoever has them is not sent them again.
    for (path, first) in [(METADATA, &answer), (JWKS, &keys)] {
        let max_age = first.header("cache-control").strip_prefix("public, max-age=");
        let max_age: u32 = max_age.unwrap().parse().unwrap();
        // What the keys were kept here counts.
        assert!(max_age <= 300 && (path == JWKS || max_age == 300), "{path}: {max_age}");
        let again = setting
            .issuer
            .send(Request::get(path).header("if-none-match", first.header("etag")), "")
            .await;
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{path}");
        assert_eq!(again.header("etag"), first.header("etag"));
        let other = setting
            .issuer
            .send(Request::get(path).header("if-none-match", "\"x\""), "")
            .await;
        assert_eq!((other.status, &other.body), (200, &first.body), "{path}");
        let head = setting.issuer.send(Request::head(path), "").await;
        assert_eq!(
            (head.status, head.body.as_str(), head.header("etag")),
            (200, "", first.header("etag"))
        );
    }
    setting.assert_works().await;
}

/// RFC 8414, section 3.1: the path of an issuer comes behind the well-known one.
#[tokio::test]
async fn c73_an_issuer_with_a_path_has_everything_below_it() {
    const TENANT: &str = "https://issuer.example/tenants/a";
    let setting = Setting::start().await;
    let installation = setting.stack.installation.as_ref().unwrap();
    let validator = "https://validator.example/oauth2/introspect";
    // Another issuer of other keys, in a part of Redis of its own.
    let arguments = [
        "--issuer",
        TENANT,
        "--introspection-endpoint",
        validator,
        "--namespace",
        "other",
    ];
    let (_process, address) = installation.start_issuer(&arguments);
    let tenant = Http::new(&address);
    let metadata = wait_until("the tenant serves", tokenbind_tests::DEADLINE, async || {
        let answer = tenant.get(&format!("{METADATA}/tenants/a")).await;
        (answer.status == 200).then(|| answer.json())
    })
    .await;
    assert_eq!(metadata["issuer"], TENANT);
    assert_eq!(metadata["token_endpoint"], format!("{TENANT}{TOKEN}"));
    assert_eq!(metadata["introspection_endpoint"], validator);
    let expected = json!(["client_secret_basic"]);
    assert_eq!(metadata["introspection_endpoint_auth_methods_supported"], expected);
    assert_eq!(tenant.get(METADATA).await.json(), metadata);
    let admin = [("grant_type", "client_credentials")];
    let operator = tokenbind_tests::basic(tokenbind_tests::ADMIN_ID, tokenbind_tests::ADMIN_SECRET);
    for path in [format!("/tenants/a{TOKEN}"), TOKEN.to_owned()] {
        let answer = tenant.post(&path, Some(&operator), &admin).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
    }
    for path in ["/tenants/b", "/tenants", "/other"] {
        tenant
            .post(&format!("{path}{TOKEN}"), Some(&operator), &admin)
            .await
            .assert_error(404, "not_found");
        tenant
            .get(&format!("{METADATA}{path}"))
            .await
            .assert_error(404, "not_found");
    }
}
