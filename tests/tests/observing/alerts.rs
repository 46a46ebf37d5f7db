//! The alert rules: valid, of metrics that exist, firing when they should, each with its section of the runbook.

use std::process::Command;

use serde_json::Value;
use tokenbind_tests::tool;

use crate::documented::{metrics, read, repository};
use crate::promql::assert_known;
use crate::runbook::anchors;

fn rules() -> Vec<Value> {
    let file: Value = serde_saphyr::from_str(&read("deploy/prometheus/alerts.yaml")).unwrap();
    let groups = file["groups"].as_array().unwrap();
    groups
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap())
        .cloned()
        .collect()
}

fn promtool(arguments: &[&str]) {
    let program = tool("TOKENBIND_TEST_PROMTOOL", "promtool").expect("`scripts/setup` gets promtool");
    let output = Command::new(program)
        .args(arguments)
        .current_dir(repository().join("deploy/prometheus"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("SUCCESS"), "{said}");
}

#[test]
fn the_rules_are_valid_and_fire_when_they_should() {
    promtool(&["check", "rules", "--lint=all", "--lint-fatal", "alerts.yaml"]);
    promtool(&["test", "rules", "alerts_test.yaml"]);
}

#[test]
fn every_rule_is_tested_and_asks_for_what_exists() {
    let (known, tests, rules) = (metrics(), read("deploy/prometheus/alerts_test.yaml"), rules());
    assert!(rules.len() >= 12);
    for rule in &rules {
        let name = rule["alert"].as_str().unwrap();
        assert_known(rule["expr"].as_str().unwrap(), &known);
        assert!(tests.contains(&format!("alertname: {name}\n")), "{name} is not tested");
        assert!(
            matches!(rule["labels"]["severity"].as_str(), Some("critical" | "warning")),
            "{name}"
        );
    }
}

#[test]
fn every_rule_leads_to_its_section_of_the_runbook() {
    let anchors = anchors();
    for rule in rules() {
        let link = rule["annotations"]["runbook"].as_str().unwrap().to_owned();
        let section = link.strip_prefix("docs/runbook.md#").unwrap();
        assert!(anchors.iter().any(|anchor| anchor == section), "{link}: {anchors:?}");
    }
}
