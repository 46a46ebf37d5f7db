//! What a query asks for: the metrics that it names, and the labels.

use std::collections::{BTreeMap, BTreeSet};

use crate::documented::Metric;

/// Labels that scraping adds, and those of the exposition's own.
const TARGET: [&str; 4] = ["job", "instance", "le", "alertname"];
/// Words of the language that are no function.
const WORDS: [&str; 11] = [
    "and",
    "or",
    "unless",
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "bool",
    "offset",
];

/// The metrics and labels that a query names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) metrics: BTreeSet<String>,
    pub(crate) labels: BTreeSet<String>,
}

/// Everything in quotes is a value, everything between braces or after `by` is labels, what a bracket follows is a function.
pub(crate) fn names(query: &str) -> Names {
    let unquoted: String = query.split('"').step_by(2).collect::<Vec<_>>().join("\"\"");
    let mut names = Names::default();
    let mut rest = unquoted.as_str();
    let (mut braces, mut grouping) = (false, false);
    while let Some(character) = rest.chars().next() {
        let length = rest
            .find(|next: char| !(next.is_ascii_alphanumeric() || "_:$".contains(next)))
            .unwrap_or(rest.len());
        if length == 0 || character.is_ascii_digit() || character == '$' {
            match character {
                '{' => braces = true,
                '}' => braces = false,
                ')' => grouping = false,
                _ => {}
            }
            rest = &rest[length.max(character.len_utf8())..];
            continue;
        }
        let (word, after) = rest.split_at(length);
        let opens = after.trim_start().starts_with('(');
        // `sum by (job) (…)` and `sum(…)` are the same.
        let aggregates = ["by (", "without ("]
            .iter()
            .any(|clause| after.trim_start().starts_with(clause));
        if braces || grouping {
            names.labels.insert(word.to_owned());
        } else if WORDS.contains(&word) {
            grouping = opens && !["and", "or", "unless"].contains(&word);
        } else if !opens && !aggregates {
            names.metrics.insert(word.to_owned());
        }
        rest = after;
    }
    names
}

/// Every metric of a query is documented, and every label is one of theirs.
pub(crate) fn assert_known(query: &str, known: &BTreeMap<String, Metric>) {
    let names = names(query);
    assert!(!names.metrics.is_empty(), "{query}");
    let mut labels: BTreeSet<&str> = TARGET.into();
    for name in names.metrics.iter().filter(|name| *name != "up") {
        let plain = ["_bucket", "_count", "_sum"]
            .iter()
            .find_map(|end| name.strip_suffix(end));
        let histogram = plain
            .and_then(|plain| known.get(plain))
            .filter(|metric| metric.kind == "histogram");
        let metric = histogram.or_else(|| known.get(name).filter(|metric| metric.kind != "histogram"));
        let metric = metric.unwrap_or_else(|| unreachable!("{name} is in no list: {query}"));
        labels.extend(metric.labels.iter().map(String::as_str));
    }
    for label in &names.labels {
        assert!(
            labels.contains(label.as_str()),
            "no metric has the label {label}: {query}"
        );
    }
}

#[test]
fn names_are_found() {
    let query = r#"histogram_quantile(0.9, sum by (job, le) (rate(a_bucket{x=~"b|c",y!="d"}[5m]))) > 0.5 * e and on (job) f offset 5m / ignoring(z) group_left sum(g[$__rate_interval])"#;
    let found = names(query);
    let set = |words: &[&str]| words.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        Names {
            metrics: set(&["a_bucket", "e", "f", "g"]),
            labels: set(&["job", "le", "x", "y", "z"])
        }
    );
}
