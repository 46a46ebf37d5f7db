//! What the development stack prints for people to paste does what it says.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use tokenbind_tests::DEADLINE;

use super::support::command;

const EXPECTED: &str = "\
DECISION_ALLOW REASON_VALID
DECISION_ALLOW REASON_VALID
DECISION_UNAUTHENTICATED REASON_TOKEN_SUPERSEDED
DECISION_ALLOW REASON_VALID
DECISION_ALLOW REASON_VALID
the same token
DECISION_ALLOW REASON_VALID
DECISION_UNAUTHENTICATED REASON_TOKEN_NOT_LIVE
DECISION_ALLOW REASON_VALID
DECISION_PERMISSION_DENIED REASON_CLIENT_NOT_ACCEPTED
";

/// Stands in for grpcurl where only `buf curl` can be had.
const SHIM: &str = r#"#!/bin/sh
set -f
header='x-shim: 1'
while :; do
  case $1 in
    -plaintext) shift ;;
    -H) header=$2; shift 2 ;;
    -d) data=$2; shift 2 ;;
    *) break ;;
  esac
done
exec "$TOKENBIND_TEST_BUF" curl --protocol grpc --http2-prior-knowledge -H "$header" -d "$data" "http://$1/$2"
"#;

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the stack as a person does and reads what it prints.
fn printed(more: &[&str]) -> (Killed, String) {
    let line = [
        "dev",
        "--issuer-listen",
        "127.0.0.1:0",
        "--validator-listen",
        "127.0.0.1:0",
    ];
    let mut child = command(&[&line[..], more].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let stdout = child.stdout.take().unwrap();
    let stack = Killed(child);
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    let mut text = String::new();
    while !text.contains("oauth-authorization-server") {
        text.push_str(&receiver.recv_timeout(DEADLINE).expect("the whole banner"));
        text.push('\n');
    }
    (stack, text)
}

/// A folder with `grpcurl` in it.
fn grpcurl(shims: &Path) -> PathBuf {
    let on_path = || {
        let path = std::env::var_os("PATH")?;
        let found = std::env::split_paths(&path).map(|folder| folder.join("grpcurl"));
        found.into_iter().find(|file| file.is_file())
    };
    let named = std::env::var_os("TOKENBIND_TEST_GRPCURL").map(PathBuf::from);
    let program = shims.join("grpcurl");
    if let Some(real) = named.or_else(on_path) {
        std::os::unix::fs::symlink(real, &program).unwrap();
    } else {
        assert!(
            std::env::var_os("TOKENBIND_TEST_BUF").is_some(),
            "neither grpcurl nor TOKENBIND_TEST_BUF is here: scripts/setup gets one"
        );
        std::fs::write(&program, SHIM).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    shims.to_owned()
}

fn pasted(text: &str) -> String {
    let shims = tempfile::tempdir().unwrap();
    let folder = grpcurl(shims.path());
    let path = std::env::var("PATH").unwrap();
    let mut shell = Command::new("sh")
        .env("PATH", format!("{}:{path}", folder.display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (_, commands) = text.split_once("grpcurl and curl:\n").unwrap();
    let mut stdin = shell.stdin.take().unwrap();
    stdin.write_all(commands.as_bytes()).unwrap();
    drop(stdin);
    String::from_utf8(shell.wait_with_output().unwrap().stdout).unwrap()
}

/// Without the answer to the revocation, which has a time in it.
fn verdicts(output: &str) -> String {
    let lines = output.lines().filter(|line| !line.contains(['{', '}', '"']));
    lines.map(|line| line.to_owned() + "\n").collect()
}

#[test]
fn the_commands_do_what_they_say() {
    let (_stack, text) = printed(&[]);
    assert!(text.contains("FOR DEVELOPMENT ONLY"), "{text}");
    let output = pasted(&text);
    assert_eq!(verdicts(&output), EXPECTED);
    let over_http: Vec<_> = output.lines().rev().take(3).collect();
    assert!(over_http[2].contains(r#""access_token":"#), "{output}");
    assert!(over_http[1].contains(r#""active":true"#), "{output}");
    assert!(over_http[0].contains(r#""token_endpoint":"#), "{output}");
}

#[test]
fn they_do_so_too_where_callers_authenticate() {
    let (_stack, text) = printed(&["--caller-auth"]);
    assert_eq!(verdicts(&pasted(&text)), EXPECTED);
}
