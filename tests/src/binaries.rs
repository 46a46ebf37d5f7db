//! The programs under test.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

/// One build at a time; cargo's own lock keeps the other test programs out.
static BUILD: Mutex<()> = Mutex::new(());

/// The path of `issuer`, `validator` or `tokenbind`, beside the test program. `cargo test --workspace` has built them; where
/// they are missing, they are built now.
pub fn binary(name: &str) -> PathBuf {
    let package = match name {
        "issuer" => "tokenbind-issuer",
        "validator" => "tokenbind-validator",
        "tokenbind" => "tokenbind-cli",
        _ => panic!("no program of this workspace is called {name}"),
    };
    let this = std::env::current_exe().expect("the path of the test program");
    // target/<profile>/deps/<test>
    let folder = this.ancestors().nth(2).expect("the folder of the profile");
    let path = folder.join(name);
    let _one = BUILD.lock();
    if !path.exists() {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--package", package, "--bin", name]);
        if folder.ends_with("release") {
            build.arg("--release");
        }
        let status = build.current_dir(env!("CARGO_MANIFEST_DIR")).status();
        assert!(status.is_ok_and(|status| status.success()), "cargo builds {package}");
    }
    path
}

/// A tool that the tests need: the path in `variable`, or the program of this name on the PATH.
pub fn tool(variable: &str, name: &str) -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(variable) {
        return Some(PathBuf::from(path));
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}
