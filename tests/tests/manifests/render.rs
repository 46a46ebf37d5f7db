//! What kustomize makes of the folders.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;
use tempfile::TempDir;
use tokenbind_tests::tool;

use crate::cluster::Cluster;

/// Every component at once, which no overlay has.
const EVERYTHING: &str = "\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: tokenbind
resources: [../production]
components: [../../components/traces]
";

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Renders a folder with `kustomize build` or `kubectl kustomize`, whichever is here.
pub(crate) fn kustomize(folder: &Path) -> String {
    let program = tool("TOKENBIND_TEST_KUSTOMIZE", "kustomize").expect("`scripts/setup` gets a kustomize");
    let verb = if program.ends_with("kubectl") {
        "kustomize"
    } else {
        "build"
    };
    let output = Command::new(program).arg(verb).arg(folder).output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {complaints}", folder.display());
    assert!(!complaints.contains("deprecated"), "{complaints}");
    String::from_utf8(output.stdout).unwrap()
}

/// The documents of a YAML stream.
pub(crate) fn documents(yaml: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(yaml).unwrap()
}

/// An overlay by name, rendered once; `everything` is production with all components.
pub(crate) fn overlay(name: &str) -> (&'static str, Cluster) {
    static RENDERED: LazyLock<HashMap<&'static str, String>> =
        LazyLock::new(|| OVERLAYS.into_iter().map(|name| (name, rendered(name))).collect());
    let yaml = &RENDERED[name];
    (yaml, Cluster::new(documents(yaml)))
}

fn rendered(name: &str) -> String {
    match name {
        "everything" => everything(),
        _ => kustomize(&repository().join("deploy/kubernetes/overlays").join(name)),
    }
}

/// Kustomize reads nothing beside the folders that it was given, so the new overlay stands in a copy of all.
fn everything() -> String {
    let copy = TempDir::new().unwrap();
    let copied = Command::new("cp")
        .arg("-R")
        .arg(repository().join("deploy"))
        .arg(copy.path())
        .status();
    assert!(copied.unwrap().success());
    let folder = copy.path().join("deploy/kubernetes/overlays/everything");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("kustomization.yaml"), EVERYTHING).unwrap();
    kustomize(&folder)
}

/// The overlays that there are, and one with every component.
pub(crate) const OVERLAYS: [&str; 3] = ["development", "production", "everything"];

#[test]
fn no_overlay_goes_untested() {
    let folder = repository().join("deploy/kubernetes/overlays");
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(OVERLAYS.contains(&name.to_str().unwrap()), "{name:?}");
    }
}
