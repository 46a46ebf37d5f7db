//! Every document against the schemas of Kubernetes, strictly: an unknown field is an error.

use std::process::Command;

use tempfile::TempDir;
use tokenbind_tests::tool;

use crate::render::{OVERLAYS, documents, overlay};

/// The three newest that the validator knows; `the_versions_are_the_newest` notices a newer one.
const VERSIONS: [&str; 3] = ["1.35", "1.36", "1.37"];
/// Kinds that operators bring to a cluster, of which Kubernetes has no schema.
const FOREIGN: [&str; 2] = ["Certificate", "PodMonitor"];

/// What the validator says of a file, one line for each document and version, and whether it passed.
fn validate(yaml: &str, versions: &[&str]) -> (Vec<String>, bool) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("manifests.yaml");
    std::fs::write(&file, yaml).unwrap();
    let program = tool("TOKENBIND_TEST_KUBERNETES_VALIDATE", "kubernetes-validate");
    let output = Command::new(program.expect("`scripts/setup` gets kubernetes-validate"))
        .arg("--strict")
        .args(versions.iter().flat_map(|version| ["-k", version]))
        .arg(file)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (text.lines().map(str::to_owned).collect(), output.status.success())
}

#[test]
fn every_document_fits_the_three_newest_versions() {
    for name in OVERLAYS {
        let (yaml, cluster) = overlay(name);
        let own = cluster.documents().iter().filter(|document| {
            let kind = document["kind"].as_str().unwrap();
            !FOREIGN.contains(&kind)
        });
        let own = own.count();
        let (lines, passed) = validate(yaml, &VERSIONS);
        let unexpected: Vec<_> = lines
            .iter()
            .filter(|line| !line.starts_with("INFO"))
            .filter(|line| {
                !FOREIGN
                    .iter()
                    .any(|kind| line.contains(&format!("schema for kind {kind} ")))
            })
            .collect();
        assert!(passed && unexpected.is_empty(), "{name}: {unexpected:?}");
        let checked = lines.iter().filter(|line| line.contains(" passed for resource "));
        assert_eq!(checked.count(), own * VERSIONS.len(), "{name}: {lines:#?}");
    }
}

#[test]
fn the_validator_would_notice() {
    let (yaml, _) = overlay("development");
    for (right, wrong) in [
        ("readOnlyRootFilesystem:", "readOnlyRootFileSystem:"),
        ("maxUnavailable: 1", "maxUnavailable: [1]"),
    ] {
        assert!(yaml.contains(right));
        let (lines, passed) = validate(&yaml.replacen(right, wrong, 1), &VERSIONS);
        assert!(!passed, "{wrong}: {lines:#?}");
    }
}

#[test]
fn the_versions_are_the_newest() {
    let [.., newest] = VERSIONS;
    let (major, minor) = newest.split_once('.').unwrap();
    let next = format!("{major}.{}", minor.parse::<u32>().unwrap() + 1);
    let (lines, passed) = validate("apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n", &[&next]);
    assert!(!passed, "{next} is known; test against it: {lines:?}");
    assert_eq!(documents("a: 1\n---\nb: 2\n").len(), 2, "streams are read whole");
}
