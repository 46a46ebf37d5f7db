//! The README's story, run as a reader would: its own snippets, in one shell, with an independent gRPC client that knows the
//! services only by reflection. What they print is what the README says they print.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

mod http;
mod kubernetes;
mod operators;
mod snippets;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;
use tokenbind_tests::{DevStack, tool};

use crate::snippets::{Snippet, masked, section, snippets};

const STORY: &str = "## Two devices, and a token in the wrong hands";

/// Printed between the snippets.
const MARK: &str = "--- end of a snippet ---";

/// `buf curl` in the clothes of grpcurl, as far as the README wears them.
const SHIM: &str = r#"#!/bin/sh
while [ $# -gt 2 ]; do
  case $1 in
    -plaintext) shift ;;
    -d) data=$2; shift 2 ;;
    -H) header=$2; shift 2 ;;
    *) echo "the shim does not know $1" >&2; exit 2 ;;
  esac
done
exec "$BUF" curl --protocol grpc --http2-prior-knowledge ${header:+-H "$header"} -d "$data" "http://$1/$2"
"#;

fn readme() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    std::fs::read_to_string(path).unwrap()
}

/// A folder in which `grpcurl` is this.
fn folder_with(grpcurl: impl FnOnce(&Path)) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    grpcurl(&folder.path().join("grpcurl"));
    folder
}

/// Runs the story against a stack of its own, and compares.
fn assert_told_as_written(client: &Path, buf: Option<&Path>) {
    let dev = DevStack::start(&[]);
    let readme = readme();
    let story = snippets(section(&readme, STORY));
    assert!(story.len() >= 6, "the story has its snippets");
    let here = |text: &str| {
        text.replace("127.0.0.1:7001", dev.issuer())
            .replace("127.0.0.1:7002", dev.validator())
    };
    let script: Vec<_> = story
        .iter()
        .map(|Snippet { commands, .. }| format!("{}\necho '{MARK}'\n", here(commands)))
        .collect();
    let path = std::env::join_paths(
        [client.to_path_buf()]
            .into_iter()
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(script.concat())
        .env("PATH", path.unwrap())
        .stdin(Stdio::null());
    if let Some(buf) = buf {
        shell.env("BUF", buf);
    }
    let output = shell.output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let complaints = String::from_utf8(output.stderr).unwrap();
    assert_eq!(complaints, "", "nothing goes to standard error");
    let printed: Vec<_> = printed.split(&format!("{MARK}\n")).collect();
    assert_eq!(printed.len(), story.len() + 1);
    for (snippet, printed) in story.iter().zip(printed) {
        let expected = here(snippet.output.unwrap_or_default());
        assert_eq!(masked(printed.trim()), masked(expected.trim()), "{}", snippet.commands);
    }
}

#[test]
fn the_story_runs_as_written_with_grpcurl_or_in_its_place_buf() {
    let grpcurl = tool("TOKENBIND_TEST_GRPCURL", "grpcurl");
    let buf = tool("TOKENBIND_TEST_BUF", "buf");
    assert!(
        grpcurl.is_some() || buf.is_some(),
        "`scripts/setup` gets a gRPC client, and `. .tools/env` tells where"
    );
    if let Some(grpcurl) = grpcurl {
        let folder = folder_with(|path| std::os::unix::fs::symlink(grpcurl, path).unwrap());
        assert_told_as_written(folder.path(), None);
    }
    if let Some(buf) = buf {
        let folder = folder_with(|path| {
            std::fs::write(path, SHIM).unwrap();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        });
        assert_told_as_written(folder.path(), Some(&buf));
    }
}

#[test]
fn the_readme_has_exactly_two_commands_to_set_up() {
    let readme = readme();
    let start = snippets(section(&readme, "## Start"));
    let commands: Vec<_> = start.iter().map(|snippet| snippet.commands).collect();
    assert_eq!(commands, ["cargo run\n", "scripts/test\n"]);
}
