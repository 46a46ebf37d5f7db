//! The stories of OAuth over HTTP, run as a reader would: with curl, and our own command line in the path.

use std::path::Path;
use std::process::{Command, Stdio};

use tokenbind_tests::{DevStack, binary};

use crate::snippets::{Snippet, section, snippets};

#[test]
fn the_stories_over_http_run_as_written() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/http.md");
    let page = std::fs::read_to_string(page).unwrap();
    let told =
        ["## Two devices of one user", "## A token in the wrong hands"].map(|story| snippets(section(&page, story)));
    let told: Vec<Snippet<'_>> = told.into_iter().flatten().collect();
    assert!(told.len() >= 7, "the stories have their snippets");
    let dev = DevStack::start(&[]);
    let commands: String = told.iter().map(|snippet| snippet.commands).collect();
    let commands = commands
        .replace("127.0.0.1:7001", dev.issuer())
        .replace("127.0.0.1:7002", dev.validator());
    let folder = tempfile::tempdir().unwrap();
    let own = binary("tokenbind");
    let path = std::env::var_os("PATH").unwrap();
    let path = [own.parent().unwrap().to_path_buf()]
        .into_iter()
        .chain(std::env::split_paths(&path));
    let output = Command::new("sh")
        .args(["-c", &commands])
        .current_dir(folder.path())
        .env("PATH", std::env::join_paths(path).unwrap())
        .env("TOKENBIND_VALIDATOR_URL", format!("http://{}", dev.validator()))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "",
        "nothing goes to standard error"
    );
    let expected: String = told.iter().filter_map(|snippet| snippet.output).collect();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}
