//! OAuth libraries, as clients and as resource servers.

use crate::envoy::Envoy;
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
    "revocation (RFC 7009)",
    "refusals",
    "introspection as JWT (RFC 9701)",
];

/// What a resource server must have judged.
const TOKENS: [&str; 3] = ["a good token", "one for another audience", "altered and forged ones"];

/// The scripts that run, each with the steps that it must have done.
fn expected(verifiers: &'static [&'static str]) -> Vec<(&'static str, Vec<String>)> {
    let judged = |libraries: &[&str]| {
        let each = libraries
            .iter()
            .flat_map(|library| TOKENS.map(|token| format!("{library}: {token}")));
        each.collect::<Vec<_>>()
    };
    let clients = CLIENTS.map(|script| (script, CLIENT_STEPS.map(str::to_owned).to_vec()));
    let servers = [
        ("resource-servers.mjs", {
            let [envoy, others] = [judged(&["Envoy"]), judged(&["jose", "oauth4webapi"])];
            [envoy, vec!["Envoy: no token".to_owned()], others].concat()
        }),
        ("resource_servers.py", judged(verifiers)),
    ];
    clients.into_iter().chain(servers).collect()
}

/// One after the other: their tokens would supersede each other's. All of them, whatever becomes of one.
fn assert_all_pass(setting: &Setting, expected: Vec<(&str, Vec<String>)>) {
    let failures: Vec<_> = expected
        .into_iter()
        .filter_map(|(script, expected)| match steps(setting, script) {
            Ok(done) if done == expected => None,
            Ok(done) => Some(format!("{script} did {done:#?}, and not {expected:#?}")),
            Err(written) => Some(written),
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[tokio::test]
async fn over_http_and_signed_with_eddsa() {
    let mut setting = Setting::start(Scheme::Http, Algorithm::EdDsa).await;
    let envoy = Envoy::start(&setting).await;
    setting.envoy = Some(envoy.url());
    // Authlib does not take EdDSA from an issuer.
    assert_all_pass(&setting, expected(&["PyJWT"]));
}

#[tokio::test]
async fn over_https_and_signed_with_rs256() {
    let mut setting = Setting::start(Scheme::Https, Algorithm::Rs256).await;
    let envoy = Envoy::start(&setting).await;
    setting.envoy = Some(envoy.url());
    assert_all_pass(&setting, expected(&["PyJWT", "Authlib"]));
}
