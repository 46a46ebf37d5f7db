//! The `OpenAPI` documents: well formed, and true of the running services, as far as a fuzzer finds out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::keys::Algorithm;
use crate::scripts::{TIME_LIMIT, folder, python, run};
use crate::setting::{Scheme, Setting};

/// How many cases for each operation; more with `TOKENBIND_TEST_FUZZ_CASES`.
const CASES: &str = "100";
/// Where chance begins; another one with `TOKENBIND_TEST_FUZZ_SEED`.
const SEED: &str = "7009";

fn document(service: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../docs/openapi/{service}.yaml"))
}

/// Fuzzes a service, and answers how often each operation was answered how.
fn fuzz(setting: &Setting, service: &str, url: &str) -> BTreeMap<String, u32> {
    let or = |variable: &str, default: &str| std::env::var(variable).unwrap_or_else(|_| default.to_owned());
    let cases = or("TOKENBIND_TEST_FUZZ_CASES", CASES);
    let limit = TIME_LIMIT + Duration::from_secs(cases.parse().unwrap());
    let place = tempfile::tempdir().unwrap();
    let mut fuzzer = python();
    fuzzer
        .args(["-m", "schemathesis.cli", "--config-file"])
        .arg(folder("schemathesis.toml"));
    fuzzer.arg("run").arg(document(service));
    fuzzer.args(["--url", url, "--no-color", "--generation-database", "none"]);
    fuzzer.args(["--max-examples", &cases]);
    fuzzer.args(["--seed", &or("TOKENBIND_TEST_FUZZ_SEED", SEED)]);
    fuzzer.args(["--request-timeout", "60", "--continue-on-failure"]);
    // A machine on which making cases up takes long is no fault of the services.
    fuzzer.args(["--suppress-health-check", "all"]);
    fuzzer.env("SCHEMATHESIS_HOOKS", "fuzz_hooks").current_dir(place.path());
    let printed = run(setting, fuzzer, service, limit).unwrap_or_else(|written| panic!("{written}"));
    let answered = printed.lines().filter_map(|line| line.strip_prefix("answered "));
    answered
        .map(|line| {
            let (count, answer) = line.split_once(' ').unwrap();
            (answer.to_owned(), count.parse().unwrap())
        })
        .collect()
}

#[test]
fn the_documents_are_well_formed() {
    for service in ["issuer", "validator"] {
        let mut lint = python();
        lint.args(["-m", "openapi_spec_validator", "--errors", "all"])
            .arg(document(service));
        let output = lint.output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{service}: {told}");
    }
}

#[tokio::test]
async fn the_services_answer_as_documented_whatever_is_asked() {
    let setting = Setting::start(Scheme::Http, Algorithm::EdDsa).await;
    let mut answered = fuzz(&setting, "issuer", &setting.issuer_url);
    answered.extend(fuzz(&setting, "validator", &setting.validator_url));
    // A fuzzer that never gets past the door finds nothing.
    for answer in [
        "POST /oauth2/token 200",
        "POST /oauth2/token 400 invalid_grant",
        "POST /oauth2/token 400 invalid_request",
        "POST /oauth2/token 400 invalid_scope",
        "POST /oauth2/token 400 invalid_target",
        "POST /oauth2/token 400 unauthorized_client",
        "POST /oauth2/token 401 invalid_client",
        "POST /oauth2/revoke 200",
        "POST /oauth2/introspect 200",
        "POST /oauth2/introspect 401 invalid_client",
        "GET /oauth2/jwks 200",
        "GET /.well-known/oauth-authorization-server 200",
    ] {
        assert!(answered.contains_key(answer), "never {answer:?}, only {answered:#?}");
    }
    let issued = answered["POST /oauth2/token 200"];
    assert!(issued >= 20, "only {issued} tokens were issued: {answered:#?}");
    println!("{answered:#?}");
}
