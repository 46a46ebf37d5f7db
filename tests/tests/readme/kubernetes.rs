//! The story of a pod, run as a reader would, with a stand-in for the cluster: `kubectl` as far as the page uses it.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use tokenbind_tests::{DevStack, binary, now};

use crate::snippets::{Snippet, section, snippets};

const CLUSTER: &str = "https://kubernetes.default.svc.cluster.local";

/// Answers what the page asks of it from files beside it, and talks to no cluster.
const KUBECTL: &str = r#"#!/bin/sh
here=$(dirname "$0")
case "$*" in
  "get --raw /openid/v1/jwks") cat "$here/jwks" ;;
  "get --raw /.well-known/openid-configuration") cat "$here/configuration" ;;
  "create token cart --namespace shop --audience http://localhost:7001") cat "$here/account" ;;
  "get pods --namespace shop --selector app=cart"*) printf 4c2f7f9e-2f0b-4b52-8f0e-5a7d3c1f9a10 ;;
  "delete pod --namespace shop --selector app=cart") echo 'pod "cart-7d4b9" deleted' ;;
  *) echo "the stand-in does not know: $*" >&2; exit 2 ;;
esac
"#;

/// A cluster: its keys, and a token of the service account as it makes them.
fn write_cluster(folder: &Path) {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let public = pair.public_key();
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let jwk = json!({"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "cluster-key",
        "n": part(public.modulus().big_endian_without_leading_zero()),
        "e": part(public.exponent().big_endian_without_leading_zero())});
    let claims = json!({"aud": ["http://localhost:7001"], "exp": now() + 3_600, "iat": now(), "nbf": now(), "iss": CLUSTER,
        "jti": "0e4c0c2b-3a55-4b9d-8f3c-0a7f4a0e6a11",
        "kubernetes.io": {"namespace": "shop", "serviceaccount": {"name": "cart", "uid": "a5e0"}},
        "sub": "system:serviceaccount:shop:cart"});
    let header = json!({"alg": "RS256", "kid": "cluster-key"});
    let signed = format!(
        "{}.{}",
        part(header.to_string().as_bytes()),
        part(claims.to_string().as_bytes())
    );
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        signed.as_bytes(),
        &mut signature,
    )
    .unwrap();
    let write = |name: &str, content: String| std::fs::write(folder.join(name), content).unwrap();
    let configuration = json!({"issuer": CLUSTER, "jwks_uri": "https://10.0.0.1:6443/openid/v1/jwks"});
    write("jwks", json!({"keys": [jwk]}).to_string());
    write("configuration", configuration.to_string());
    write("account", format!("{signed}.{}", part(&signature)));
    write("kubectl", KUBECTL.to_owned());
    std::fs::set_permissions(folder.join("kubectl"), std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// The path in which stand-ins in a folder and our own command line come before everything else.
pub(crate) fn path_with(folder: &Path) -> OsString {
    let own = binary("tokenbind");
    let path = std::env::var_os("PATH").unwrap();
    let path = [folder.to_path_buf(), own.parent().unwrap().to_path_buf()]
        .into_iter()
        .chain(std::env::split_paths(&path));
    std::env::join_paths(path).unwrap()
}

/// Runs commands in a folder, with the stand-in and our own command line before everything else in the path.
fn run(folder: &Path, script: &str, environment: &[(&str, &str)]) -> String {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", script])
        .current_dir(folder)
        .env("PATH", path_with(folder))
        .envs(environment.iter().copied())
        .stdin(Stdio::null());
    let output = shell.output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "",
        "nothing goes to standard error"
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_story_of_a_pod_runs_as_written() {
    let folder = tempfile::tempdir().unwrap();
    write_cluster(folder.path());
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/kubernetes.md");
    let page = std::fs::read_to_string(page).unwrap();
    let commands = |heading| {
        snippets(section(&page, heading))
            .iter()
            .map(|it| it.commands)
            .collect::<String>()
    };
    run(folder.path(), &commands("## Declare the cluster"), &[]);

    let catalog = folder.path().join("catalog.yaml");
    let dev = DevStack::start(&["--catalog", catalog.to_str().unwrap()]);
    assert!(
        page.contains(&dev.admin().secret),
        "the page has the secret of the development stack's administrator"
    );
    let (issuer, validator) = (
        format!("http://{}", dev.issuer()),
        format!("http://{}", dev.validator()),
    );
    let environment = [
        ("TOKENBIND_ISSUER_URL", issuer.as_str()),
        ("TOKENBIND_VALIDATOR_URL", validator.as_str()),
    ];
    let life: Vec<Snippet<'_>> = snippets(section(&page, "## The life of a pod"));
    assert_eq!(life.len(), 3);
    let expected: String = life.iter().map(|snippet| snippet.output.unwrap_or_default()).collect();
    let printed = run(folder.path(), &commands("## The life of a pod"), &environment);
    assert_eq!(printed, expected);
}
