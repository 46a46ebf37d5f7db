//! OAuth libraries, as clients and as resource servers.

use crate::keys::Algorithm;
use crate::scripts::steps;
use crate::setting::{Scheme, Setting};

const CLIENTS: [&str; 3] = ["openid-client.mjs", "oauth4webapi.mjs", "authlib_client.py"];
/// What a client must have done, so that none is left out unnoticed.
const CLIENT_STEPS: [&str; 12] = [
    "discovery (RFC 8414)",
    "client_credentials with client_secret_basic",
    "client_credentials with client_secret_post",
    "client_credentials with private_key_jwt",
    "password of a public client",
    "password on two devices, jwt",
    "password on two devices, opaque",
    "refresh",
    "token exchange (RFC 8693)",
    "introspection as JWT (RFC 9701)",
    "revocation (RFC 7009)",
    "refusals",
];

/// What a resource server must have judged.
const TOKENS: [&str; 3] = ["a good token", "one for another audience", "altered and forged ones"];

fn assert_judged(setting: &Setting, script: &str, libraries: &[&str]) {
    let expected: Vec<_> = libraries
        .iter()
        .flat_map(|library| TOKENS.map(|token| format!("{library}: {token}")))
        .collect();
    assert_eq!(steps(setting, script), expected, "{script}");
}

async fn assert_all_pass(scheme: Scheme, signing: Algorithm) -> Setting {
    let setting = Setting::start(scheme, signing).await;
    for script in CLIENTS {
        assert_eq!(steps(&setting, script), CLIENT_STEPS, "{script}");
    }
    assert_judged(&setting, "resource-servers.mjs", &["jose", "oauth4webapi"]);
    setting
}

#[tokio::test]
async fn over_http_and_signed_with_eddsa() {
    let setting = assert_all_pass(Scheme::Http, Algorithm::EdDsa).await;
    // Authlib does not take EdDSA from an issuer.
    assert_judged(&setting, "resource_servers.py", &["PyJWT"]);
}

#[tokio::test]
async fn over_https_and_signed_with_rs256() {
    let setting = assert_all_pass(Scheme::Https, Algorithm::Rs256).await;
    assert_judged(&setting, "resource_servers.py", &["PyJWT", "Authlib"]);
}
