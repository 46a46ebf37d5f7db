//! The services started as the manifests say, after the commands of the page.

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;
use tempfile::TempDir;
use tokenbind_proto::v1::{Presenter, ValidateTokenRequest};
use tokenbind_tests::{App, Client, DEADLINE, RedisServer, Resource, binary, health, password, tool, wait_until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};
use tonic_health::pb::health_check_response::ServingStatus;

use crate::cluster::{Cluster, entries, items, name};
use crate::render::{documents, overlay, repository};
use crate::running::{Files, Node};

/// `kubectl` as far as the page uses it: it keeps what would be applied. Secrets are made by the real one where it is here.
const KUBECTL: &str = r#"#!/bin/sh
set -e
here=$(dirname "$0")
case "$1 $2" in
  "create secret")
    case $KUSTOMIZE in */kubectl) exec "$KUSTOMIZE" "$@" ;; esac
    [ "$3 $5 $6 $7" = "generic --namespace tokenbind --from-file" ] || { echo "what is $*?" >&2; exit 2; }
    printf 'apiVersion: v1\nkind: Secret\nmetadata:\n  name: %s\n  namespace: tokenbind\ndata:\n' "$4"
    for file in "$8"/*; do printf '  %s: %s\n' "$(basename "$file")" "$(base64 < "$file" | tr -d '\n')"; done ;;
  "apply -f") { echo ---; if [ "$3" = - ]; then cat; else cat "$3"; fi; } >> "$here/applied" ;;
  "apply -k")
    case $KUSTOMIZE in */kubectl) verb=kustomize ;; *) verb=build ;; esac
    "$KUSTOMIZE" "$verb" "$3" > "$here/$(basename "$3")" ;;
  "rollout status") echo "deployment successfully rolled out" ;;
  *) echo "the stand-in does not know: $*" >&2; exit 2 ;;
esac
"#;

/// The commands below the headings that a reader follows with a cluster.
fn commands() -> String {
    let page = std::fs::read_to_string(repository().join("deploy/kubernetes/README.md")).unwrap();
    let sections = ["## Secrets", "## To try it", "## For production"].map(|heading| {
        let (_, rest) = page.split_once(&format!("\n{heading}\n")).unwrap();
        rest.split("\n## ").next().unwrap().to_owned()
    });
    let fenced = sections.iter().flat_map(|section| section.split("```sh\n").skip(1));
    fenced.map(|block| block.split("```").next().unwrap()).collect()
}

/// Follows the page in `folder`, which looks like the root of the repository.
fn follow_the_page(folder: &Path) {
    symlink(repository().join("deploy"), folder.join("deploy")).unwrap();
    let cluster = folder.join("cluster");
    std::fs::create_dir(&cluster).unwrap();
    std::fs::write(cluster.join("kubectl"), KUBECTL).unwrap();
    std::fs::set_permissions(cluster.join("kubectl"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let own = binary("tokenbind");
    let path = [cluster, own.parent().unwrap().to_path_buf()]
        .into_iter()
        .chain(std::env::split_paths(&path));
    let output = Command::new("sh")
        .args(["-euc", &commands()])
        .current_dir(folder)
        .env("PATH", std::env::join_paths(path).unwrap())
        .env("KUSTOMIZE", tool("TOKENBIND_TEST_KUSTOMIZE", "kustomize").unwrap())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.is_empty(), "{complaints}");
}

fn secrets(documents: &[Value]) -> BTreeMap<String, Files> {
    let secrets = documents.iter().filter(|document| document["kind"] == "Secret");
    let files = |secret: &Value| {
        let decoded = |text: &Value| STANDARD.decode(text.as_str().unwrap()).unwrap();
        entries(&secret["data"])
            .map(|(file, text)| (file.to_owned(), decoded(text)))
            .collect()
    };
    secrets.map(|secret| (name(secret).to_owned(), files(secret))).collect()
}

async fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.lines().next().unwrap().to_owned()
}

async fn ready(admin: &str) {
    wait_until("it is ready", DEADLINE, async || {
        get(admin, "/readyz").await.contains(" 200 ").then_some(())
    })
    .await;
    assert!(get(admin, "/livez").await.contains(" 200 "));
}

#[tokio::test]
async fn the_page_leads_to_services_that_issue_and_judge() {
    let folder = TempDir::new().unwrap();
    follow_the_page(folder.path());
    let read = |file: &str| std::fs::read_to_string(folder.path().join("cluster").join(file)).unwrap();
    let applied = documents(&read("applied"));
    assert!(applied.iter().any(|document| document["kind"] == "Namespace"));
    let (cluster, secrets) = (Cluster::new(documents(&read("development"))), secrets(&applied));
    let mut node = Node::new(&cluster, &secrets);
    let mut redis = node.start_redis().await;
    let (mut issuer, mut validator) = (node.start("issuer"), node.start("validator"));
    let client = Client::new(&issuer.grpc, &validator.grpc);
    for (channel, pod) in [(&client.issuer, &issuer), (&client.validator, &validator)] {
        // What the readiness probe asks.
        wait_until("it serves", DEADLINE, async || {
            (health(channel, "").await == Some(ServingStatus::Serving)).then_some(())
        })
        .await;
        ready(&pod.admin).await;
    }
    let shop = App {
        id: "shop-jwt".to_owned(),
        secret: "tbs_ayqufX0BJ8V2UTBTdgynJCtiezP9Hjrn1F4IB0J7QEU".to_owned(),
    };
    let api = Resource {
        id: "orders-api".to_owned(),
        secret: "tbs_OpkZbYLhJ6Y1TPwqCkieT6oDvqjtB66ZzF3UGJQwfHw".to_owned(),
    };
    let mut asked = password("alice", "wonderland");
    asked.token_binding_id = "phone-1".to_owned();
    let token = client.issue(&shop, asked).await.unwrap().access_token;
    let presenter = Presenter {
        token_binding_id: "phone-1".to_owned(),
        ..Presenter::default()
    };
    let question = ValidateTokenRequest {
        token,
        presenter: Some(presenter),
        ..ValidateTokenRequest::default()
    };
    let verdict = client.judge(&api, question).await.unwrap();
    assert_eq!(verdict.decision().as_str_name(), "DECISION_ALLOW", "{verdict:?}");
    drop(client);
    for pod in [&mut issuer, &mut validator] {
        pod.process.terminate();
        wait_until("it is not ready", DEADLINE, async || {
            get(&pod.admin, "/readyz").await.contains(" 503 ").then_some(())
        })
        .await;
    }
    redis.kill();
    assert!(!validator.process.log().contains("panicked") && !issuer.process.log().contains("panicked"));
}

#[tokio::test]
async fn production_serves_tls_and_says_over_the_admin_port_that_it_is_ready() {
    let (_, cluster) = overlay("production");
    let redis = RedisServer::start();
    let folder = TempDir::new().unwrap();
    let mut secrets = BTreeMap::new();
    for (secret, kind) in [("signing-keys", "es256"), ("opaque-keys", "opaque")] {
        let file = folder.path().join(kind);
        let made = Command::new(binary("tokenbind"))
            .args(["keys", "generate", "--kind", kind])
            .arg(&file)
            .output();
        assert!(made.unwrap().status.success());
        secrets.insert(
            secret.to_owned(),
            Files::from([("2026-11-22".to_owned(), std::fs::read(file).unwrap())]),
        );
    }
    let key = KeyPair::generate().unwrap();
    for service in ["issuer", "validator"] {
        let names = &cluster.get("Certificate", service)["spec"]["dnsNames"];
        let names: Vec<_> = items(names).map(|name| name.as_str().unwrap().to_owned()).collect();
        let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        let files = [("tls.crt", certificate.pem()), ("tls.key", key.serialize_pem())];
        let files = files.map(|(file, text)| (file.to_owned(), text.into_bytes()));
        secrets.insert(format!("{service}-tls"), files.into());
        let files = [("url", redis.url()), ("password", format!("of-the-{service}"))];
        let files = files.map(|(file, text)| (file.to_owned(), text.into_bytes()));
        secrets.insert(format!("redis-{service}"), files.into());
        redis::cmd("ACL")
            .arg(&[
                "SETUSER",
                service,
                "on",
                &format!(">of-the-{service}"),
                "~*",
                "&*",
                "+@all",
            ])
            .exec(&mut redis.connection())
            .unwrap();
    }
    let node = Node::new(&cluster, &secrets);
    for service in ["issuer", "validator"] {
        let pod = node.start(service);
        ready(&pod.admin).await;
        let authority = Certificate::from_pem(&secrets[&format!("{service}-tls")]["tls.crt"]);
        let tls = ClientTlsConfig::new()
            .ca_certificate(authority)
            .domain_name(format!("{service}-headless.tokenbind.svc"));
        let channel = Endpoint::from_shared(format!("https://{}", pod.grpc))
            .unwrap()
            .tls_config(tls)
            .unwrap()
            .connect_lazy();
        assert_eq!(health(&channel, "").await, Some(ServingStatus::Serving), "{service}");
    }
}
