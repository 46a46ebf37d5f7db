//! Runs what is in `tests/clients`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokenbind_tests::tool;

use crate::setting::Setting;

/// Far beyond what any of them takes, so that one that hangs ends as a failure with its output.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(180);

/// The folder of this name in `tests/clients`.
pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(name)
}

/// What `scripts/setup` noted.
pub(crate) fn from_setup(variable: &str) -> PathBuf {
    tool(variable, "")
        .unwrap_or_else(|| panic!("{variable} is not set: `scripts/setup` gets it, and `. .tools/env` tells where"))
}

/// A Python that knows the packages of the lock file, and the scripts.
pub(crate) fn python() -> Command {
    let mut python = Command::new(from_setup("TOKENBIND_TEST_PYTHON"));
    let packages = from_setup("TOKENBIND_TEST_PYTHON_PACKAGES");
    let path = std::env::join_paths([packages, folder("python")]).unwrap();
    python.env("PYTHONPATH", path).env("PYTHONDONTWRITEBYTECODE", "1");
    python
}

/// A Node.js in a folder of its own, where it finds the packages of the lock file beside the scripts.
pub(crate) fn node() -> (Command, TempDir) {
    let place = tempfile::tempdir().unwrap();
    let packages = from_setup("TOKENBIND_TEST_NODE_PACKAGES");
    std::os::unix::fs::symlink(packages, place.path().join("node_modules")).unwrap();
    for entry in std::fs::read_dir(folder("node")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, place.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    let mut node = Command::new(from_setup("TOKENBIND_TEST_NODE"));
    node.current_dir(place.path());
    (node, place)
}

/// Runs a script of either language to its end, and answers the steps that it did; or else all that it wrote.
pub(crate) fn steps(setting: &Setting, script: &str) -> Result<Vec<String>, String> {
    let is_node = Path::new(script)
        .extension()
        .is_some_and(|extension| extension == "mjs");
    let (command, _place) = if is_node {
        let (mut command, place) = node();
        command.arg(script);
        (command, Some(place))
    } else {
        let mut command = python();
        command.arg(folder("python").join(script));
        (command, None)
    };
    let output = run(setting, command, script, TIME_LIMIT)?;
    let steps = output.lines().filter_map(|line| line.strip_prefix("ok "));
    Ok(steps.map(str::to_owned).collect())
}

/// Runs a command that knows the setting, and answers what it printed; all that it wrote when it fails or does not end.
pub(crate) fn run(setting: &Setting, mut command: Command, name: &str, limit: Duration) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let read = |name: &str| String::from_utf8_lossy(&std::fs::read(file(name)).unwrap()).into_owned();
    command.env("TOKENBIND_SETTING", setting.for_scripts().to_string());
    if let Some(authority) = setting.authority() {
        // Node.js; Python's requests; Python itself.
        for variable in ["NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"] {
            command.env(variable, &authority);
        }
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(file("stdout")).unwrap())
        .stderr(std::fs::File::create(file("stderr")).unwrap())
        .spawn()
        .unwrap_or_else(|error| panic!("{name} starts: {error}"));
    let end = Instant::now() + limit;
    let ended = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if Instant::now() > end {
            child.kill().unwrap();
            child.wait().unwrap();
            break None;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    if ended.is_some_and(|status| status.success()) {
        return Ok(read("stdout"));
    }
    Err(format!("{name}: {ended:?}\n{}\n{}", read("stdout"), read("stderr")))
}
