//! The dashboard asks for what exists, and shows everything that the services count themselves.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::documented::{metrics, read};
use crate::promql::{assert_known, names};

fn queries() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&read("deploy/grafana/tokenbind.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "each panel has a number of its own");
    let places: BTreeSet<_> = panels
        .iter()
        .map(|panel| (panel["gridPos"]["x"].as_u64(), panel["gridPos"]["y"].as_u64()))
        .collect();
    assert_eq!(places.len(), panels.len(), "no panel lies on another");
    let shown = panels.iter().filter(|panel| panel["type"] != "row");
    let targets = shown.flat_map(|panel| {
        assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{panel}");
        assert_eq!(panel["datasource"]["uid"], "${datasource}");
        panel["targets"].as_array().unwrap()
    });
    targets
        .map(|target| target["expr"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn every_query_asks_for_what_exists() {
    let (known, queries) = (metrics(), queries());
    assert!(queries.len() >= 20);
    for query in &queries {
        assert_known(query, &known);
    }
}

#[test]
fn whatever_the_services_count_is_shown() {
    let shown: BTreeSet<_> = queries().iter().flat_map(|query| names(query).metrics).collect();
    for name in metrics().keys().filter(|name| !name.starts_with("process_")) {
        let bucket = format!("{name}_bucket");
        assert!(shown.contains(name) || shown.contains(&bucket), "{name} is on no panel");
    }
}
