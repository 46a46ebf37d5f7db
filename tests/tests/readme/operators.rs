//! What operators are told to type, typed: the runbook, the page on operations and that on Redis, over services whose Redis has the
//! users and settings of `deploy/redis`. Only the cluster is a stand-in.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;
use tokenbind_proto::v1::TokenFormat;
use tokenbind_tests::{ADMIN_ID, ADMIN_SECRET, App, DEADLINE, Installation, RedisServer, Stack, tool, wait_until};

use crate::kubernetes::path_with;
use crate::snippets::{section, snippets};

const PASSWORD: &str = "of-the-operator";

/// Knows what the runbook asks a cluster, and no more. The log is that of the issuer.
const KUBECTL: &str = r#"#!/bin/sh
case "$*" in
  "logs --namespace tokenbind deployment/issuer"*) cat "$(dirname "$0")/log" ;;
  "get pods --namespace tokenbind"*) echo issuer-0 ;;
  "describe certificate --namespace tokenbind issuer") echo Ready ;;
  *) echo "the stand-in does not know: $*" >&2; exit 2 ;;
esac
"#;

/// What a reader puts in: the keys that leaked.
const KEYS: &str = "KEY_ID=$(tokenbind keys list | awk 'NR == 2 { print $1 }') KEY_NAME=0001.key\n";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(page: &str) -> String {
    std::fs::read_to_string(repository().join(page)).unwrap()
}

/// All commands of a text, as one script.
fn commands(text: &str) -> String {
    snippets(text).iter().map(|snippet| snippet.commands).collect()
}

/// A shell that stops at the first failure; what it prints. Standard error is for progress alone.
fn run(folder: &Path, script: &str, environment: &[(&str, &str)]) -> String {
    let output = Command::new("sh")
        .args(["-euc", script])
        .current_dir(folder)
        .env("PATH", path_with(folder))
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success()
            && !["error", "arning", "not found"]
                .iter()
                .any(|bad| complaints.contains(bad)),
        "{}: {complaints}\n{script}",
        output.status
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The files of `deploy/redis`, after the commands of its page, with the users that it proposes.
fn prepare_redis(folder: &Path) -> Vec<String> {
    let page = read("deploy/redis/README.md");
    std::fs::copy(repository().join("deploy/redis/users.acl"), folder.join("users.acl")).unwrap();
    for user in ["issuer", "validator"] {
        std::fs::write(folder.join(format!("{user}.password")), format!("of-the-{user}")).unwrap();
    }
    run(folder, &commands(&page), &[]);
    let written = std::fs::read_to_string(folder.join("users.acl")).unwrap();
    assert_eq!(
        written.matches(" on #").count(),
        2,
        "both users have a password: {written}"
    );
    let (_, others) = page.split_once("```text\n").unwrap();
    let others = others.split("```").next().unwrap();
    assert_eq!(others.matches("#…").count(), 3);
    let users = written + &others.replace("#…", &format!(">{PASSWORD}"));
    std::fs::write(folder.join("users.acl"), users).unwrap();
    [
        "--include",
        repository().join("deploy/redis/redis.conf").to_str().unwrap(),
        "--aclfile",
        folder.join("users.acl").to_str().unwrap(),
        "--masteruser",
        "replica",
        "--masterauth",
        PASSWORD,
    ]
    .map(str::to_owned)
    .into()
}

/// Services over such a Redis, and all that the pages speak of.
struct Installed {
    stack: Stack,
    /// Without it no revocation would be durable.
    _replica: RedisServer,
    folder: TempDir,
    shop: App,
    api: tokenbind_tests::Resource,
}

impl Installed {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let arguments = prepare_redis(folder.path());
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let start = || RedisServer::start_as("operator", PASSWORD, &arguments);
        let (redis, replica) = (start(), start());
        // Its user may do what a replica must.
        replica.follow(&redis);
        let file = |user: &str| folder.path().join(format!("{user}.password"));
        let (issuer, validator) = (file("issuer"), file("validator"));
        let of = |user, file: &'_ PathBuf| {
            ["--redis-user", user, "--redis-password-file", file.to_str().unwrap()].map(str::to_owned)
        };
        let (issuer, validator) = (of("issuer", &issuer), of("validator", &validator));
        let mut issuer: Vec<_> = issuer.iter().map(String::as_str).collect();
        issuer.extend(["--key-wait-seconds", "1", "--redis-min-replicas", "1"]);
        let validator: Vec<_> = validator.iter().map(String::as_str).collect();
        let installation = Installation::new(redis.url());
        let stack = Stack::over(redis, installation, &issuer, &validator).await;
        let shop = stack.shop("shop-mobile", TokenFormat::Jwt).await;
        stack.shop("shop-opaque", TokenFormat::Opaque).await;
        stack.user("alice", "wonderland").await;
        let api = stack.api("orders", &[&shop]).await;
        std::fs::write(folder.path().join("password.txt"), "wonderland\n").unwrap();
        std::fs::write(folder.path().join("kubectl"), KUBECTL).unwrap();
        std::fs::set_permissions(folder.path().join("kubectl"), std::fs::Permissions::from_mode(0o755)).unwrap();
        Self {
            stack,
            _replica: replica,
            folder,
            shop,
            api,
        }
    }

    fn installation(&self) -> &Installation {
        self.stack.installation.as_ref().unwrap()
    }

    /// With the addresses and, in place of what a reader has, the secrets of this test.
    fn run(&self, script: &str) -> String {
        let (issuer, validator) = (&self.stack.issuer_address, &self.stack.validator_address);
        let redis = format!(
            "redis-cli -e -h 127.0.0.1 -p {}",
            self.stack.redis.as_ref().unwrap().port()
        );
        let signing = self.installation().signing_key();
        let script = script
            .replace("redis-cli -h 127.0.0.1 -p 6379", &redis)
            .replace("127.0.0.1:7002", validator)
            .replace("/etc/tokenbind/signing", signing.parent().unwrap().to_str().unwrap());
        let environment = [
            ("TOKENBIND_ISSUER_URL", format!("http://{issuer}")),
            ("TOKENBIND_VALIDATOR_URL", format!("http://{validator}")),
            ("TOKENBIND_CLIENT_ID", ADMIN_ID.to_owned()),
            ("TOKENBIND_CLIENT_SECRET", ADMIN_SECRET.to_owned()),
            ("REDISCLI_AUTH", PASSWORD.to_owned()),
        ];
        let environment: Vec<_> = environment.iter().map(|(key, value)| (*key, value.as_str())).collect();
        run(self.folder.path(), &script, &environment)
    }

    /// What the page on operations tells after the first start.
    fn first_start(&self) {
        let page = read("docs/operations.md");
        let client = tool("TOKENBIND_TEST_GRPCURL", "grpcurl").unwrap();
        let link = self.folder.path().join("grpcurl");
        std::os::unix::fs::symlink(client, link).unwrap();
        let script = commands(section(&page, "## The first start"));
        assert_eq!(script.matches("tbs_…").count(), 2);
        let script = script
            .replacen("tbs_…", &self.shop.secret, 1)
            .replacen("tbs_…", &self.api.secret, 1);
        let printed = self.run(&script);
        assert!(
            printed.contains("ALLOW") && printed.contains("DECISION_ALLOW"),
            "{printed}"
        );
    }

    /// Waits until the log of the issuer, which the stand-in shows, has a text.
    async fn log_has(&self, text: &str) {
        wait_until(text, DEADLINE, async || {
            let log = self.stack.processes[0].log();
            std::fs::write(self.folder.path().join("log"), &log).unwrap();
            log.contains(text).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn what_operators_are_told_to_type_works() {
    let installed = Installed::start().await;
    installed.first_start();

    let page = read("docs/runbook.md");
    let redis = snippets(page.split("\n## ").next().unwrap())[0].commands;
    for part in page.split("\n## ").skip(1) {
        let (heading, text) = part.split_once('\n').unwrap();
        let script = commands(text);
        match heading {
            "A key is compromised" => {
                installed.installation().put_new_keys();
                installed.log_has("0002.key").await;
            }
            "A changed file is refused" => {
                std::fs::write(installed.installation().catalog(), "version: 2\n").unwrap();
                installed.log_has("cannot be used").await;
            }
            _ => installed.log_has("serving").await,
        }
        let printed = installed.run(&format!("{redis}{KEYS}{script}"));
        assert!(script.is_empty() || !printed.is_empty(), "{heading}: {script}");
    }

    let page = read("docs/operations.md");
    let printed = installed.run(&commands(section(&page, "## Rotating keys")));
    assert!(printed.contains("signs with"), "{printed}");
}
